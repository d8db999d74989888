import socketio
from socketio.exceptions import ConnectionRefusedError

from migration.users import TOKENS

sio = socketio.AsyncServer(async_mode="asgi")


@sio.event
async def connect(sid, environ, auth):
    address = environ["REMOTE_ADDR"]
    if not address or auth["token"] not in TOKENS:
        raise ConnectionRefusedError(
            "authentication failed"
        )


app = socketio.ASGIApp(sio)
