"""Draining, shown to whoever watches."""

from __future__ import annotations

import sys
from collections.abc import Callable

import anyio
from rich.status import Status

from lbproto import Server
from lbproto.cli.show import output

__all__ = ["drain"]

_INTERVAL = 0.1


async def drain(
    server: Server, seconds: float, hurried: Callable[[], bool], *, shown: bool = True
) -> None:
    """Drain a server, and show at a terminal how many connections are left.

    Args:
        server: runs; what it has is closed over `seconds`.
        seconds: 0 or more.
        hurried: whether to stop at once, with connections left.
        shown: whether the terminal is ours to write to.
    """
    connections = server.runtime.connections
    total = len(connections)

    def told() -> str:
        return f"draining: {len(connections)} of {total} left (Ctrl-C ends it now)"

    async def watch() -> None:
        while not hurried():
            status.update(told())
            await server.clock.sleep(_INTERVAL)
        tasks.cancel_scope.cancel()

    status = Status(told(), console=output())
    if shown and total and sys.stdout.isatty():
        status.start()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await server.drain(seconds)
            tasks.cancel_scope.cancel()
    finally:
        status.stop()
