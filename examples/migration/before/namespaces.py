import socketio

sio = socketio.AsyncServer(async_mode="asgi")


@sio.on("quote", namespace="/market")
async def quote(sid, data):
    price = {"symbol": data["symbol"], "price": 100}
    await sio.emit(
        "price", price, to=sid, namespace="/market"
    )


class Chat(socketio.AsyncNamespace):
    async def on_say(self, sid, data):
        await self.emit("said", data, to=sid)


sio.register_namespace(Chat("/chat"))

app = socketio.ASGIApp(sio)
