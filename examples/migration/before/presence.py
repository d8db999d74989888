import socketio

from migration.users import TOKENS

sio = socketio.AsyncServer(async_mode="asgi")


@sio.event
async def connect(sid, environ, auth):
    user_id = TOKENS[auth["token"]]
    print(user_id, "has come")
    await sio.save_session(sid, {"userId": user_id})
    await sio.enter_room(sid, "lobby")
    await sio.emit(
        "user_joined_room",
        {"userId": user_id, "room": "lobby"},
        room="lobby",
        skip_sid=sid,
    )


@sio.event
async def disconnect(sid, reason):
    session = await sio.get_session(sid)
    user_id = session["userId"]
    print(user_id, "has gone:", reason)
    await sio.emit(
        "user_left_room",
        {"userId": user_id, "room": "lobby"},
        room="lobby",
        skip_sid=sid,
    )


app = socketio.ASGIApp(sio)
