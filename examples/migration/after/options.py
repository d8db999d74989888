from lbproto import Server, Settings
from migration.users import users

server = Server(
    auth=users,
    allowed_origins=["https://app.example.com"],
    settings=Settings(
        ping_interval=10,
        ping_timeout=5,
        max_payload=50_000,
        polling=False,
    ),
)
app = server.asgi()
