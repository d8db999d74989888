import socketio

sio = socketio.AsyncServer(
    async_mode="asgi",
    cors_allowed_origins=["https://app.example.com"],
    ping_interval=10,
    ping_timeout=5,
    max_http_buffer_size=50_000,
    transports=["websocket"],
    http_compression=False,
)
app = socketio.ASGIApp(sio)
