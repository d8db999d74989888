"""An app whose clients can ask which node they are on, and by what address it knows them."""

from __future__ import annotations

import os

from lbproto import Context, Event, Identity, Plugin, Server, Unauthorized
from lbproto.backends.redis_pubsub import RedisPubSub
from lbproto.backends.redis_storage import RedisStorage
from lbproto.transport import Peer
from tests.e2e.storming import BROKER, talk


class Where(Event):
    pass


class Here(Event):
    pid: int
    address: str


def where() -> Plugin:
    plugin = Plugin("where")

    @plugin.on(Where)
    async def where(ctx: Context, _request: Where) -> Here:
        return Here(pid=os.getpid(), address=ctx.session.identity.claims["address"])

    return plugin


class _Tokens:
    """A token `token-<user>` is that user's."""

    async def authenticate(self, token: str, peer: Peer) -> Identity:
        if not token.startswith("token-"):
            raise Unauthorized("no token")
        return Identity(token.removeprefix("token-"), {"address": peer.address})


def build() -> Server:
    url = os.environ.get(BROKER, "redis://127.0.0.1")
    pubsub = RedisPubSub(url, heartbeat=0.5, timeout=2.0)
    return Server([talk(), where()], auth=_Tokens(), pubsub=pubsub, storage=RedisStorage(url))
