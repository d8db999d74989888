import os

import socketio

REDIS = os.environ.get(
    "REDIS_URL", "redis://localhost:6379/0"
)

sio = socketio.AsyncServer(
    async_mode="asgi",
    client_manager=socketio.AsyncRedisManager(REDIS),
)


@sio.event
async def tell_all(sid, data):
    await sio.emit("news", data)


app = socketio.ASGIApp(sio)
