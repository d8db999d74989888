import socketio

sio = socketio.AsyncServer(async_mode="asgi")
started = False


async def tick():
    while True:
        await sio.sleep(10)
        await answer("Server generated event")


async def answer(text, room=None):
    await sio.emit(
        "my_response", {"data": text}, room=room
    )


@sio.event
async def connect(sid, environ, auth):
    global started
    if not started:
        started = True
        sio.start_background_task(tick)
    await answer("Connected", sid)


@sio.event
async def my_event(sid, message):
    await answer(message["data"], sid)


@sio.event
async def my_broadcast_event(sid, message):
    await answer(message["data"])


@sio.event
async def join(sid, message):
    await sio.enter_room(sid, message["room"])
    await answer(
        "Entered room: " + message["room"], sid
    )


@sio.event
async def leave(sid, message):
    await sio.leave_room(sid, message["room"])
    await answer("Left room: " + message["room"], sid)


@sio.on("close room")
async def close(sid, message):
    room = message["room"]
    await answer(f"Room {room} is closing.", room)
    await sio.close_room(room)


@sio.event
async def my_room_event(sid, message):
    await answer(message["data"], message["room"])


@sio.on("disconnect request")
async def disconnect_request(sid):
    await sio.disconnect(sid)


@sio.event
def disconnect(sid, reason):
    print("Client disconnected, reason:", reason)


app = socketio.ASGIApp(sio)
