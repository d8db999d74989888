"""Storage and pub/sub within one process: for one node, for tests, and as the ports' reference.

Several servers in one process that share a `MemoryBroker` are nodes of one application.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from lbproto.backends.base import PubSub, Storage
from lbproto.clock import Clock, SystemClock
from lbproto.errors import Overloaded

__all__ = ["MemoryBroker", "MemoryPubSub", "MemoryStorage"]


class MemoryStorage(Storage):
    """Records in a dictionary; gone with the process.

    Args:
        clock: what times to live are measured by.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._records: dict[str, tuple[bytes, float]] = {}
        self._sweep_at = 1024

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    async def get(self, key: str) -> bytes | None:
        value, expires = self._records.get(key, (None, math.inf))
        if expires <= self._clock.monotonic():
            del self._records[key]
            return None
        return value

    async def put(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        expires = math.inf if ttl is None else self._clock.monotonic() + ttl
        self._records[key] = (value, expires)
        self._sweep()

    async def delete(self, key: str) -> None:
        self._records.pop(key, None)

    async def increment(self, key: str, by: int = 1) -> int:
        value = await self.get(key)
        total = (0 if value is None else int(value)) + by
        _, expires = self._records.get(key, (b"", math.inf))
        self._records[key] = (b"%d" % total, expires)
        self._sweep()
        return total

    def _sweep(self) -> None:
        """Drop what has expired whenever the store has doubled: amortised O(1) a write."""
        if len(self._records) < self._sweep_at:
            return
        now = self._clock.monotonic()
        self._records = {key: kept for key, kept in self._records.items() if kept[1] > now}
        self._sweep_at = max(1024, 2 * len(self._records))


class MemoryBroker:
    """What the `MemoryPubSub` of each node is plugged into."""

    def __init__(self) -> None:
        self.nodes: set[MemoryPubSub] = set()


class MemoryPubSub(PubSub):
    """One node's end of a `MemoryBroker`.

    Args:
        broker: shared by the nodes; None for a node alone.
        capacity: messages a node may be behind before publishing to it fails with `Overloaded`.
    """

    def __init__(self, broker: MemoryBroker | None = None, *, capacity: int = 65_536) -> None:
        self._broker = broker or MemoryBroker()
        self._capacity = capacity
        self._channels: set[str] = set()
        self._send: MemoryObjectSendStream[tuple[str, bytes]]
        self._receive: MemoryObjectReceiveStream[tuple[str, bytes]]

    async def __aenter__(self) -> Self:
        self._send, self._receive = anyio.create_memory_object_stream(self._capacity)
        self._broker.nodes.add(self)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._broker.nodes.discard(self)
        self._send.close()
        self._receive.close()

    def publish_nowait(self, channel: str, payload: bytes) -> None:
        others = [node for node in self._broker.nodes if node is not self and node.takes(channel)]
        if any(node.full for node in others):
            raise Overloaded(f"a node is too far behind to take {channel!r}")
        for node in others:
            node.deliver_nowait(channel, payload)

    def is_awaited(self, channel: str) -> bool:
        nodes = self._broker.nodes
        return len(nodes) > 1 and any(node is not self and node.takes(channel) for node in nodes)

    def takes(self, channel: str) -> bool:
        """Whether this node has subscribed to a channel."""
        return channel in self._channels

    @property
    def full(self) -> bool:
        """Whether this node is too far behind to take another message."""
        return self._send.statistics().current_buffer_used >= self._capacity

    def deliver_nowait(self, channel: str, payload: bytes) -> None:
        """Take a message from another node, while not `full`."""
        self._send.send_nowait((channel, payload))

    async def subscribe(self, channel: str) -> None:
        self._channels.add(channel)

    async def unsubscribe(self, channel: str) -> None:
        self._channels.discard(channel)

    async def messages(self) -> AsyncIterator[tuple[str, bytes]]:
        async for message in self._receive:
            yield message
