"""A server that tells all clients the time, and answers queries: what `beside` measures.

    python -m benchmarks.queries.server PORT CATALOGUES

Ten times a second everybody in the room gets an event. How late this process comes to do what it
meant to do is looked at a hundred times a second; `GET /lags` has that, in milliseconds, since it
was last asked for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from time import perf_counter

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.dialects import ROOM
from benchmarks.lbproto_server import Candle, DemoTokens, candle
from lbproto import Admission, Context, Plugin, Server, Settings
from lbproto.asgi.uvicorn import WebSocketProtocol
from lbproto_query import Catalogues, DuckDBEngine, Limits, queries

_PERIOD = 0.1  # seconds between two events
_LOOK = 0.01  # seconds between two looks at how late the loop is
_PING = 2.0  # seconds between two heartbeats: some come while one measures
_SIZE = 190  # bytes of an event


def clock(lags: list[float]) -> Plugin:
    """The time, told to a room, and how late it is here."""

    @asynccontextmanager
    async def running(server: Server) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_tell, server)
            tasks.start_soon(_look, lags)
            yield
            tasks.cancel_scope.cancel()

    plugin = Plugin("clock", lifespan=running)
    plugin.emits(Candle)

    @plugin.room("bench:{name}", announce=False)
    async def join(ctx: Context, name: str) -> None: ...

    return plugin


async def _tell(server: Server) -> None:
    due = anyio.current_time()
    for number in count():
        due += _PERIOD
        await anyio.sleep_until(due)
        server.to(ROOM).emit(candle(number, _SIZE))


async def _look(lags: list[float]) -> None:
    while True:
        due = perf_counter() + _LOOK
        await anyio.sleep(_LOOK)
        lags.append((perf_counter() - due) * 1000)


def main(port: int, root: str) -> None:
    """Serve until killed."""
    os.sched_setaffinity(0, range(os.cpu_count() or 1))  # its workers are free to go anywhere
    lags: list[float] = []

    async def taken(_request: Request) -> JSONResponse:
        answer = JSONResponse(lags)
        lags.clear()
        return answer

    engine = DuckDBEngine(Catalogues(root), memory=1024 * 1024 * 1024)
    server = Server(
        [clock(lags), queries(engine, limits=Limits(seconds=600, rows=10**12))],
        auth=DemoTokens(),
        admission=Admission(max_sessions_per_user=10**6),
        settings=Settings(ping_interval=_PING),
    )
    uvicorn.run(
        server.asgi(Starlette(routes=[Route("/lags", taken)])),
        port=port,
        ws=WebSocketProtocol,
        ws_per_message_deflate=False,
        log_level="warning",
        backlog=4096,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
