import socketio

sio = socketio.AsyncServer(async_mode="asgi")


@sio.event
async def begin_chat(sid):
    await sio.enter_room(sid, "chat_users")


@sio.event
async def exit_chat(sid):
    await sio.leave_room(sid, "chat_users")


@sio.event
async def my_message(sid, data):
    await sio.emit(
        "my_reply",
        data,
        room="chat_users",
        skip_sid=sid,
    )


@sio.event
async def end_chat(sid):
    await sio.close_room("chat_users")


app = socketio.ASGIApp(sio)
