import os

import socketio

PASSWORD = os.environ.get("ADMIN_PASSWORD", "secret")

sio = socketio.AsyncServer(
    async_mode="asgi",
    cors_allowed_origins=[
        "http://localhost:5000",
        "https://admin.socket.io",
    ],
)
sio.instrument(
    auth={"username": "admin", "password": PASSWORD},
)
app = socketio.ASGIApp(sio)
