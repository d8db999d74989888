from pathlib import Path

import socketio

PAGES = str(Path(__file__).parents[1] / "pages")

sio = socketio.AsyncServer(async_mode="asgi")
app = socketio.ASGIApp(
    sio,
    static_files={
        "/": f"{PAGES}/index.html",
        "/static": PAGES,
    },
)
