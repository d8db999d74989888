import socketio

sio = socketio.AsyncServer(async_mode="asgi")


@sio.event
async def ask_me(sid):
    question = {"text": "Really?"}
    try:
        answer = await sio.call(
            "question", question, to=sid, timeout=5
        )
    except socketio.exceptions.TimeoutError:
        answer = "nothing"
    await sio.emit("heard", {"answer": answer}, to=sid)


app = socketio.ASGIApp(sio)
