"""Serves an app to its page, in this process."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import uvicorn

__all__ = ["serving_app"]

SECONDS = 180


class _Uvicorn(uvicorn.Server):
    """Says when it has started."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    async def run_on(self, listener: socket.socket) -> None:
        try:
            await self.serve([listener])
        except SystemExit:
            raise AssertionError("the server does not start, see its log") from None


@asynccontextmanager
async def serving_app(app: Any, port: int) -> AsyncIterator[int]:
    """Serve an ASGI app while the body runs.

    Args:
        app: with its lifespan.
        port: 0 for any.

    Returns:
        The port.

    Raises:
        AssertionError: it does not start.
    """
    config = uvicorn.Config(app, port=port, lifespan="on", log_config=None, ws="websockets-sansio")
    server = _Uvicorn(config)
    with config.bind_socket() as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.run_on, listener)
            with anyio.fail_after(SECONDS):
                await server.up.wait()
            yield listener.getsockname()[1]
            server.should_exit = True
