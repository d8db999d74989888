"""What a pub/sub over Redis says of itself, and when it has said all."""

from __future__ import annotations

from lbproto.backends.redis_pubsub import RedisPubSub
from tests.backends.redis_limiting import until

__all__ = ["lost", "sent"]


def lost(pubsub: RedisPubSub) -> int:
    return pubsub.statistics().lost_connections


async def sent(pubsub: RedisPubSub) -> None:
    await until(lambda: not pubsub.statistics().queued_messages)
