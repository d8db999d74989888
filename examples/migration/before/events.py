import socketio

sio = socketio.AsyncServer(async_mode="asgi")


@sio.event
async def my_event(sid, data):
    answer = {"data": data["data"]}
    await sio.emit("my_response", answer, to=sid)


@sio.on("my custom event")
async def another_event(sid, data):
    answer = {"data": data["data"]}
    await sio.emit("my custom response", answer, to=sid)


app = socketio.ASGIApp(sio)
