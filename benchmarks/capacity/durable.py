"""lbproto as one of several nodes: the server that is measured, with a broker and a storage.

`LBPROTO_BENCH_BROKER` says where both are. Any ASGI server runs `app`.
"""

from __future__ import annotations

import os

from benchmarks.lbproto_server import DemoTokens, bench
from benchmarks.peers.payload import BROKER
from lbproto import Server
from lbproto.backends.redis_pubsub import RedisPubSub
from lbproto.backends.redis_storage import RedisStorage

__all__ = ["app"]

_URL = os.environ[BROKER]

app = Server(
    [bench()], auth=DemoTokens(), pubsub=RedisPubSub(_URL), storage=RedisStorage(_URL)
).asgi()
