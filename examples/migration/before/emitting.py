import socketio

from migration.users import TOKENS

sio = socketio.AsyncServer(async_mode="asgi")


@sio.event
async def connect(sid, environ, auth):
    user_id = TOKENS[auth["token"]]
    await sio.enter_room(sid, f"user:{user_id}")


@sio.event
async def tell_me(sid, data):
    await sio.emit("news", data, to=sid)


@sio.event
async def tell_user(sid, data):
    room = f"user:{data['userId']}"
    news = {"text": data["text"]}
    await sio.emit("news", news, room=room)


@sio.event
async def tell_all(sid, data):
    await sio.emit("news", data)


app = socketio.ASGIApp(sio)
