import socketio

from migration.users import TOKENS

sio = socketio.AsyncServer(async_mode="asgi")


@sio.event
async def connect(sid, environ, auth):
    user_id = TOKENS[auth["token"]]
    await sio.save_session(sid, {"user_id": user_id})


@sio.event
async def set_color(sid, data):
    async with sio.session(sid) as session:
        session["color"] = data["color"]


@sio.event
async def who_am_i(sid):
    session = await sio.get_session(sid)
    you = {
        "userId": session["user_id"],
        "color": session.get("color", "grey"),
    }
    await sio.emit("you", you, to=sid)


app = socketio.ASGIApp(sio)
