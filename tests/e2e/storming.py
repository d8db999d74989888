"""An app of several nodes whose clients talk in rooms; the environment says where the broker is."""

from __future__ import annotations

import os
from typing import Annotated

from msgspec import Meta

from lbproto import Context, Event, Identity, Plugin, Server, Unauthorized
from lbproto.backends.redis_pubsub import RedisPubSub
from lbproto.backends.redis_storage import RedisStorage
from lbproto.transport import Peer

BROKER = "LBPROTO_TEST_BROKER"
"""The URL of a Redis."""


class Say(Event):
    """Tell a room something."""

    room: Annotated[str, Meta(max_length=64)]
    publisher: str
    number: int


class Said(Event):
    room: str
    publisher: str
    number: int


class Told(Event):
    """What was said is on its way."""

    number: int


def talk() -> Plugin:
    plugin = Plugin("talk")
    plugin.emits(Said)

    @plugin.room("talk:{name}")
    async def join(_ctx: Context, name: str) -> None: ...

    @plugin.on(Say)
    async def say(ctx: Context, request: Say) -> Told:
        said = Said(room=request.room, publisher=request.publisher, number=request.number)
        ctx.to(request.room).emit(said)
        return Told(number=request.number)

    return plugin


class _Tokens:
    """A token `token-<user>` is that user's."""

    async def authenticate(self, token: str, peer: Peer) -> Identity:
        if not token.startswith("token-"):
            raise Unauthorized("no token")
        return Identity(token.removeprefix("token-"))


def build() -> Server:
    url = os.environ.get(BROKER, "redis://127.0.0.1")
    pubsub = RedisPubSub(url, heartbeat=0.5, timeout=2.0)
    return Server([talk()], auth=_Tokens(), pubsub=pubsub, storage=RedisStorage(url))


app = build().asgi()
