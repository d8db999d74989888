"""A process without clients tells those of all servers, by the Redis or Valkey at REDIS_URL.

lbproto serve worker:server     # as many as you like
python worker.py alice          # tells alice, wherever she is connected
"""

import os
import sys

import anyio

from lbproto import Emitter, Event, Plugin, Server, StaticTokens
from lbproto.backends.redis_pubsub import RedisPubSub


class ReportReady(Event):
    name: str


def broker() -> RedisPubSub:
    return RedisPubSub(os.environ.get("REDIS_URL", "redis://localhost:6379/0"))


plugin = Plugin("reports")
plugin.emits(ReportReady)
server = Server([plugin], auth=StaticTokens({"secret": "alice"}), pubsub=broker())


async def work(user_id: str) -> None:
    async with Emitter(broker()) as emitter:
        for name in ("sales", "stock"):
            emitter.to_user(user_id).emit(ReportReady(name))


if __name__ == "__main__":
    anyio.run(work, sys.argv[1])
