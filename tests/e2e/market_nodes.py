"""An app of several nodes that share a market's feeds; a file tells which of them run them."""

from __future__ import annotations

import os
from pathlib import Path

from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from lbproto import Clock, Server
from lbproto.backends.redis_pubsub import RedisPubSub
from lbproto.backends.redis_storage import RedisStorage
from lbproto.testing import AnyToken
from lbproto_market import Nodes, SimulatedFeed, Sink, market

BROKER = "LBPROTO_TEST_BROKER"
"""The URL of a Redis."""

RUNS = "LBPROTO_TEST_RUNS"
"""The file: a process id and a symbol for each time that a feed begins."""


class NotedFeed(SimulatedFeed):
    """Made-up trades, which are the same on every node."""

    async def run(
        self,
        symbol: str,
        sink: Sink,
        clock: Clock,
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        _note(f"{os.getpid()} {symbol}\n")
        await super().run(symbol, sink, clock, task_status=task_status)


def _note(line: str) -> None:
    with Path(os.environ[RUNS]).open("a") as file:
        file.write(line)


def build() -> Server:
    url = os.environ.get(BROKER, "redis://127.0.0.1")
    storage = RedisStorage(url)
    nodes = Nodes(storage, RedisPubSub(url, prefix="market"), lease=5.0)
    feed = NotedFeed(rate=20, history=60)
    return Server(
        [market(feed, nodes=nodes)], auth=AnyToken(), pubsub=RedisPubSub(url), storage=storage
    )


app = build().asgi()
