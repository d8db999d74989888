import socketio

sio = socketio.AsyncServer(async_mode="asgi")


async def count():
    number = 0
    while True:
        await sio.sleep(0.5)
        number += 1
        await sio.emit("counted", {"number": number})


async def begin():
    sio.start_background_task(count)


app = socketio.ASGIApp(sio, on_startup=begin)
