"""Pub/sub over Redis or Valkey; needs `lbproto[redis]`.

Channels are sharded ones (`SSUBSCRIBE`), which in a cluster concern a single shard; of a server
older than Redis 7 they are plain ones.

    <prefix>:room:<channel>     parcels of messages
    <prefix>:node:<id>          what a node sends to itself; in a cluster, one in each shard
"""

from __future__ import annotations

from redis import RedisError

from lbproto.backends.brokered import BrokeredPubSub
from lbproto.backends.link import Link
from lbproto.backends.redis_client import without_braces
from lbproto.backends.redis_link import Source, connect

__all__ = ["RedisPubSub"]


class RedisPubSub(BrokeredPubSub):
    """The way to the other nodes by Redis 6.2 or later, or Valkey: one server, Sentinel or cluster.

    Which of these it is, the server says. Each node has one of its own, with the same prefix. A
    node starts without the server, too, and hears the others as soon as it can; see `ready`. What
    it publishes meanwhile is kept, up to `max_messages` and `max_bytes`, then refused. To enter it
    raises `UsageError` where the user in the URL is not let in, or may not use such channels.

    Args:
        urls: `redis://[user:password@]host:port`, `rediss://` for TLS, or `unix://path`. Several
            of a cluster, or of Sentinels, are tried in turn; all of it is reached as the URL says.
        prefix: what all channels begin with; no braces. Applications that share a server each
            have their own.
        service: what the Sentinels call the server.
        max_payload: of how many bytes a message may be.
        max_messages: how many messages wait for the server at most.
        max_bytes: how many bytes.
        timeout: for how long the server may take for anything, in seconds; longer, and the
            connection is given up.
        heartbeat: how often it is seen whether the server passes on what is published, in seconds.

    Raises:
        UsageError: there is no URL; or there are braces in the prefix.
        ValueError: that is no URL of a Redis.
    """

    failures = (RedisError,)

    def __init__(
        self,
        *urls: str,
        prefix: str = "lbproto",
        service: str = "mymaster",
        max_payload: int = 1_000_000,
        max_messages: int = 65_536,
        max_bytes: int = 16 * 1024 * 1024,
        timeout: float = 5.0,
        heartbeat: float = 5.0,
    ) -> None:
        super().__init__(
            *urls,
            prefix=without_braces(prefix, "RedisPubSub"),
            max_payload=max_payload,
            max_messages=max_messages,
            max_bytes=max_bytes,
            timeout=timeout,
            heartbeat=heartbeat,
        )
        self._sources = [Source(url, timeout) for url in urls]
        self._service = service

    async def _connect(self) -> Link:
        return await connect(self._sources, self._service, self._prefix, self._timeout)
