"""The same with FastAPI."""

from __future__ import annotations

from fastapi import FastAPI

from tests.e2e.app import build
from tests.e2e.hosts import lifespan, routes

fallback = build().asgi(FastAPI(routes=routes, lifespan=lifespan))

_server = build()
mounted = FastAPI(routes=routes, lifespan=_server.lifespan)
mounted.mount("/rt", _server.asgi())
