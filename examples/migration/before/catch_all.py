import socketio

sio = socketio.AsyncServer(async_mode="asgi")


@sio.event
async def known(sid, data):
    await sio.emit("answer", data, to=sid)


@sio.on("*")
async def any_event(event, sid, *data):
    told = {"event": event, "data": data}
    await sio.emit("unknown", told, to=sid)


app = socketio.ASGIApp(sio)
