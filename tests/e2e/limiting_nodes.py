"""An app whose users are counted by several nodes together; where is told by the environment."""

from __future__ import annotations

import os

from lbproto import Identity, Limits, Server, Tier, Unauthorized, Window
from lbproto.backends.redis_limits import RedisLimits
from lbproto.transport import Peer
from tests.e2e.probe import probe

STORE = "LBPROTO_TEST_LIMITS"
"""The URL of a Redis; by default one of this machine."""


class _Tokens:
    """A token `token-<user>` is that user's, so that each test has its own."""

    async def authenticate(self, token: str, peer: Peer) -> Identity:
        if not token.startswith("token-"):
            raise Unauthorized("no token")
        return Identity(token.removeprefix("token-"))


def build() -> Server:
    tiers = {"slow": Tier(Window(4, 600)), "quick": Tier(Window(4, 4))}  # two at once each
    limits = Limits(
        tiers=tiers,
        default="slow",
        tier=lambda identity: identity.user_id.partition("-")[0],
        store=RedisLimits(os.environ.get(STORE, "redis://127.0.0.1"), timeout=30),
    )
    return Server([probe()], auth=_Tokens(), limits=limits)


app = build().asgi()
