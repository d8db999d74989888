import socketio

sio = socketio.AsyncServer(
    async_mode="asgi", logger=True, engineio_logger=True
)


@sio.event
async def work(sid):
    return "done"


app = socketio.ASGIApp(sio)
