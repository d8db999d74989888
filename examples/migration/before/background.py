import socketio

sio = socketio.AsyncServer(async_mode="asgi")
task = None


async def count():
    number = 0
    while True:
        await sio.sleep(0.5)
        number += 1
        await sio.emit("counted", {"number": number})


@sio.event
async def connect(sid, environ, auth):
    global task
    if task is None:
        task = sio.start_background_task(count)


app = socketio.ASGIApp(sio)
