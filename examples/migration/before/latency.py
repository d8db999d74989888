import socketio

sio = socketio.AsyncServer(async_mode="asgi")


@sio.event
async def ping_from_client(sid):
    await sio.emit("pong_from_server", room=sid)


app = socketio.ASGIApp(sio)
