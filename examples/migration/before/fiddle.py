import socketio

sio = socketio.AsyncServer(async_mode="asgi")


@sio.event
async def connect(sid, environ, auth):
    greeting = (1, 2, {"hello": "you"})
    await sio.emit("hello", greeting, to=sid)


app = socketio.ASGIApp(sio)
