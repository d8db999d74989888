from pathlib import Path

from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from lbproto import Server
from migration.users import users

PAGES = Path(__file__).parents[1] / "pages"

index = FileResponse(PAGES / "index.html")
files = StaticFiles(directory=PAGES)

server = Server(auth=users)
app = server.asgi(
    fallback=Starlette(
        routes=[
            Route("/", index),
            Mount("/static", files),
        ]
    )
)
