import socketio

sio = socketio.AsyncServer(async_mode="asgi")


@sio.on("disconnect request")
async def disconnect_request(sid):
    await sio.disconnect(sid)


app = socketio.ASGIApp(sio)
