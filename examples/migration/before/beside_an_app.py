import socketio
from fastapi import FastAPI

sio = socketio.AsyncServer(async_mode="asgi")
api = FastAPI()


@api.get("/hello")
async def hello():
    await sio.emit("visited", {"path": "/hello"})
    return {"message": "Hello, World!"}


app = socketio.ASGIApp(sio, other_asgi_app=api)
