import socketio

sio = socketio.AsyncServer(
    async_mode="asgi", namespaces="*"
)


@sio.on("*", namespace="*")
async def any_event(event, namespace, sid, *data):
    echo = (event, *data)
    await sio.emit(
        "echo", echo, to=sid, namespace=namespace
    )
    return data


app = socketio.ASGIApp(sio)
