import socketio

sio = socketio.AsyncServer(async_mode="asgi")


@sio.event
async def greet(sid, data):
    text = f"Hello {data['name']}"
    await sio.emit("greeting", {"text": text}, to=sid)


app = socketio.ASGIApp(sio)
