import socketio

sio = socketio.AsyncServer(async_mode="asgi")


@sio.event
async def order(sid, data):
    if data["symbol"] != "ACME":
        return "ERROR", "There is no such symbol"
    return "OK", 123


app = socketio.ASGIApp(sio)
