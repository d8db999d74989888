"""The apps that the end-to-end tests serve: one `Server` each, with different settings."""

from __future__ import annotations

import anyio

from lbproto import Recovery, Server, Settings, StaticTokens
from lbproto.backends.memory import MemoryPubSub
from lbproto_market import ReplayFeed, market
from tests.e2e.feed import RECORDING, SYMBOL, VENUE, FastFeed, steering
from tests.e2e.probe import probe

USERS = {f"token-{name}": name for name in ("ada", "bob", "eve")}


def build(settings: Settings | None = None, window: float = 120.0) -> Server:
    """A server with the bundled trades, looped as if they were made now."""
    feed = ReplayFeed(RECORDING, SYMBOL, venue=VENUE, loop=True)
    return Server(
        [market(feed), probe()],
        auth=StaticTokens(USERS),
        settings=settings,
        recovery=Recovery(window=window, grace=window / 8, max_bytes=8 * 2**20),
    )


app = build().asgi()

# Heartbeats come quickly, and whoever is slow to answer them lives.
brisk = build(Settings(ping_interval=0.3, ping_timeout=600)).asgi()

# Nobody gets time.
strict = build(
    Settings(ping_interval=1, ping_timeout=1, connect_timeout=1, upgrade_timeout=1), window=1.0
).asgi()


# Those who have gone are soon forgotten, and whoever is slow is not taken for one of them.
forgetful = build(Settings(ping_interval=1, ping_timeout=20), window=1.0).asgi()


class _Distant(MemoryPubSub):
    """Joining takes a while, as with a broker: much happens in a room meanwhile."""

    async def subscribe(self, channel: str) -> None:
        await anyio.sleep(0.03)
        await super().subscribe(channel)


_feed = FastFeed()
fast = Server(
    [market(_feed), steering(_feed), probe()], auth=StaticTokens(USERS), pubsub=_Distant()
).asgi()
