import socketio

from migration.users import TOKENS

sio = socketio.AsyncServer(async_mode="asgi")
sids: dict[str, str] = {}


@sio.event
async def connect(sid, environ, auth):
    sids[TOKENS[auth["token"]]] = sid


@sio.event
async def tell_me(sid, data):
    await sio.emit("news", data, to=sid)


@sio.event
async def tell_user(sid, data):
    news = {"text": data["text"]}
    await sio.emit(
        "news", news, to=sids[data["userId"]]
    )


@sio.event
async def tell_all(sid, data):
    await sio.emit("news", data)


app = socketio.ASGIApp(sio)
