"""Counts what a user asks for on all nodes together, in the Redis or Valkey that REDIS_URL names.

lbproto serve together:server --port 8091
lbproto serve together:server --port 8092
"""

import os

from lbproto import Context, Event, Limits, Plugin, Server, StaticTokens, Tier, Window
from lbproto.backends.redis_limits import RedisLimits


class Work(Event):
    pass


class Worked(Event):
    pass


plugin = Plugin("work")


@plugin.on(Work)
async def work(ctx: Context, request: Work) -> Worked:
    return Worked()


limits = Limits(
    tiers={"free": Tier(Window(6, 60))},  # three at once, then one every 20 seconds
    store=RedisLimits(os.environ.get("REDIS_URL", "redis://localhost:6379/0")),
)
server = Server([plugin], auth=StaticTokens({"secret": "alice"}), limits=limits)
