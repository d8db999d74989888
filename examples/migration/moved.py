"""The new server alone, at its path and the old one.

uvicorn migration.moved:app --app-dir examples
"""

from starlette.applications import Starlette
from starlette.routing import Mount

from lbproto import Server
from migration.after.hello import plugin, users

server = Server([plugin], auth=users)
still = Starlette(routes=[Mount("/v2", server.asgi())])
app = server.asgi(fallback=still)
