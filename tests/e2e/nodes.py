"""An app of several nodes: what is published on one is heard on all; the environment says by what.

Run as a module it is a process that serves nobody, and emits: a program without an event loop.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio
from anyio.from_thread import start_blocking_portal

from lbproto import Context, Emitter, Event, Identity, Plugin, Server, Unauthorized
from lbproto.backends.base import PubSub
from lbproto.backends.nats_pubsub import NATSPubSub
from lbproto.backends.redis_pubsub import RedisPubSub
from lbproto.backends.redis_storage import RedisStorage
from lbproto.transport import Peer

BROKER = "LBPROTO_TEST_BROKER"
"""The URLs of a Redis, or that of a NATS; by default a Redis of this machine."""

BUFFER = "LBPROTO_TEST_BUFFER"
"""How many messages wait for the broker at most; by default as many as anywhere."""

RECORDS = "LBPROTO_TEST_RECORDS"
"""The URL of the Redis with the records; by default they are in memory."""

MAX_PAYLOAD = 100_000


class Tick(Event):
    publisher: str
    number: int
    padding: str = ""


class Publish(Event):
    """Have the node publish ticks, from 0, one every few milliseconds.

    Given rooms, each of them gets its own, by "<publisher> <room>"; else they go to "ticks".
    """

    publisher: str
    count: int
    rooms: tuple[str, ...] = ()
    seconds: float = 0.002
    padding: int = 0


class Published(Event):
    refused: int


class Health(Event):
    pass


class Healthy(Event):
    """What the node says of its way to the others."""

    missed: int
    refused: int
    queued: int
    lost_connections: int


def ticking() -> Plugin:
    running: list[Server] = []

    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncIterator[None]:
        running.append(server)
        yield
        running.clear()

    plugin = Plugin("ticking", lifespan=lifespan)
    plugin.emits(Tick)

    @plugin.room("ticks", announce=False)
    async def ticks(_ctx: Context) -> None: ...

    @plugin.room("ticks:{name}", announce=False)
    async def more_ticks(_ctx: Context, name: str) -> None: ...

    @plugin.room("hall")
    async def hall(_ctx: Context) -> None: ...

    @plugin.on(Publish)
    async def publish(ctx: Context, request: Publish) -> Published:
        padding = "x" * request.padding
        by_publisher = {f"{request.publisher} {room}": room for room in request.rooms}
        for number in range(request.count):
            for publisher, room in (by_publisher or {request.publisher: "ticks"}).items():
                ctx.to(room).emit(Tick(publisher=publisher, number=number, padding=padding))
            await anyio.sleep(request.seconds)
        return Published(refused=running[0].statistics().pubsub.refused)

    @plugin.on(Health)
    async def health(_ctx: Context, _request: Health) -> Healthy:
        statistics = running[0].statistics().pubsub
        return Healthy(
            missed=statistics.missed,
            refused=statistics.refused,
            queued=statistics.queued_messages,
            lost_connections=statistics.lost_connections,
        )

    return plugin


class _Tokens:
    """A token `token-<user>` is that user's."""

    async def authenticate(self, token: str, peer: Peer) -> Identity:
        if not token.startswith("token-"):
            raise Unauthorized("no token")
        return Identity(token.removeprefix("token-"))


def pubsub() -> PubSub:
    urls = os.environ.get(BROKER, "redis://127.0.0.1").split()
    make: Callable[..., PubSub] = partial(RedisPubSub, shards=len(urls))  # a cluster's servers
    if urls[0].startswith("nats:"):
        make = NATSPubSub
    return make(
        *urls,
        heartbeat=0.2,
        timeout=1.0,
        max_payload=MAX_PAYLOAD,
        max_messages=int(os.environ.get(BUFFER, "65536")),
    )


def build() -> Server:
    url = os.environ.get(RECORDS)
    storage = RedisStorage(url) if url is not None else None
    return Server([ticking()], auth=_Tokens(), pubsub=pubsub(), storage=storage)


app = build().asgi()


def main(count: int) -> None:
    """Emit ticks, and one to a user."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Emitter(pubsub())) as emitter,
    ):
        for number in range(count):
            portal.call(emitter.to("ticks").emit, Tick(publisher="worker", number=number))
        portal.call(emitter.to_user("ada").emit, Tick(publisher="private", number=0))


if __name__ == "__main__":
    main(int(sys.argv[1]))
