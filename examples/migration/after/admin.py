import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount

from lbproto import Server, StaticTokens
from lbproto.console import ConsoleApp

PASSWORD = os.environ.get("ADMIN_PASSWORD", "secret")


async def may_watch(request: Request) -> bool:
    shown = request.headers.get("authorization", "")
    return shown == f"Bearer {PASSWORD}"


server = Server(auth=StaticTokens({PASSWORD: "admin"}))
console = ConsoleApp(server, may_watch=may_watch)
app = server.asgi(
    fallback=Starlette(
        routes=[Mount("/console", console)]
    )
)
