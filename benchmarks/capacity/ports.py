"""The simulator's ports to other nodes and to the storage, which count what goes through them."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from lbproto.nodes.messages import decode
from lbproto.registry import RESERVED
from lbproto.sessions.session import personal_room
from lbproto.simulator.logged import LoggedPubSub, LoggingBroker
from lbproto.simulator.loop import Process
from lbproto.simulator.stores import Reach, Shared, SimulatedStorage

__all__ = ["CountingPubSub", "CountingStorage", "Tally", "kind_of"]

Tally = Counter[str]
"""How often something was done, by what it is: `said beat`, `heard beat`, `stored get ban`.

What is said is what a node gives to the broker. What is heard is what a node is given that another
one has said; `echoed` is what the broker sends to the very node that has said it. What is asked is
how far the log has got (`place`), and what of it somebody has missed.
"""

_OWN = personal_room("")


def kind_of(channel: str, payload: bytes) -> str:
    """What a message is: that of nodes by its own name, that of a room `event`."""
    if channel.startswith(f"{RESERVED}beside:"):
        return "beside"
    if channel.startswith(RESERVED):
        return type(decode(payload)).__name__.lower()
    return "personal" if channel.startswith(_OWN) else "event"


class CountingPubSub(LoggedPubSub):
    """One node's end of a broker with a log.

    Args:
        broker: shared by the nodes.
        name: of this node.
        process: that it runs in.
        tally: of all nodes.
    """

    def __init__(self, broker: LoggingBroker, name: str, process: Process, tally: Tally) -> None:
        super().__init__(broker, name, process)
        self._tally = tally
        self._mine: set[str] = set()

    def publish_nowait(self, channel: str, payload: bytes, *, kept: bool = False) -> None:
        kind = kind_of(channel, payload)
        self._tally[f"said {kind}"] += 1
        self._tally[f"bytes {kind}"] += len(payload)
        self._tally[f"echoed {kind}"] += channel in self._mine
        super().publish_nowait(channel, payload, kept=kept)

    async def subscribe(self, channel: str) -> None:
        self._tally["subscribed"] += channel not in self._mine
        self._mine.add(channel)
        await super().subscribe(channel)

    async def unsubscribe(self, channel: str) -> None:
        self._mine.discard(channel)
        await super().unsubscribe(channel)

    async def catch_up(self) -> None:
        self._tally["asked place"] += 1
        await super().catch_up()

    async def missed(
        self, behind: Mapping[str, Collection[str]]
    ) -> Sequence[tuple[str, bytes]] | None:
        self._tally["asked missed"] += 1
        return await super().missed(behind)

    async def messages(self) -> AsyncIterator[tuple[str, bytes | None]]:
        async for channel, payload in super().messages():
            if payload is not None:
                self._tally[f"heard {kind_of(channel, payload)}"] += 1
            yield channel, payload


class CountingStorage(SimulatedStorage):
    """One node's end of the shared records.

    Args:
        shared: where they are.
        reach: the way there.
        tally: of all nodes.
    """

    def __init__(self, shared: Shared, reach: Reach, tally: Tally) -> None:
        super().__init__(shared, reach)
        self._tally = tally

    def _count(self, what: str, key: str) -> None:
        self._tally[f"stored {what} {key.replace(':', '/').split('/')[1]}"] += 1

    async def get(self, key: str) -> bytes | None:
        self._count("get", key)
        return await super().get(key)

    async def put(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        self._count("put", key)
        await super().put(key, value, ttl=ttl)

    async def put_new(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        self._count("put", key)
        return await super().put_new(key, value, ttl=ttl)

    async def delete(self, key: str) -> bool:
        self._count("delete", key)
        return await super().delete(key)

    async def children(self, parent: str) -> dict[str, bytes]:
        self._count("list", parent)
        return await super().children(parent)
