"""Storage and pub/sub within one process: for one node, for tests, and as the ports' reference.

Several servers in one process that share a `MemoryBroker` are nodes of one application.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from itertools import islice
from typing import Self

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from lbproto.backends.base import MAX_CHILDREN, PubSub, Storage, divided
from lbproto.clock import Clock, SystemClock
from lbproto.errors import Overloaded

__all__ = ["MemoryBroker", "MemoryPubSub", "MemoryStorage"]


_Record = tuple[bytes, float]
"""A value, and when it expires."""


class MemoryStorage(Storage):
    """Records in a dictionary; gone with the process.

    Args:
        clock: what times to live are measured by.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._folders: dict[str, dict[str, _Record]] = {}  # by all up to the last "/" of their keys
        self._count = 0
        self._sweep_at = 1024

    async def get(self, key: str) -> bytes | None:
        value, _ = self._read(key) or (None, None)
        return value

    async def put(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        self._write(key, value, self._expires(ttl))

    async def put_new(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        if self._read(key) is not None:
            return False
        self._write(key, value, self._expires(ttl))
        return True

    async def delete(self, key: str) -> bool:
        is_there = self._read(key) is not None
        self._remove(key)
        return is_there

    async def increment(self, key: str, by: int = 1) -> int:
        value, expires = self._read(key) or (b"0", math.inf)
        total = int(value) + by
        self._write(key, b"%d" % total, expires)
        return total

    async def children(self, parent: str) -> dict[str, bytes]:
        now = self._clock.monotonic()
        records = self._folders.get(f"{parent}/", {}).items()
        live = ((name, value) for name, (value, expires) in records if expires > now)
        return dict(islice(live, MAX_CHILDREN))

    def _expires(self, ttl: float | None) -> float:
        return math.inf if ttl is None else self._clock.monotonic() + ttl

    def _read(self, key: str) -> _Record | None:
        folder, name = divided(key)
        record = self._folders.get(folder, {}).get(name)
        if record is None or record[1] > self._clock.monotonic():
            return record
        self._remove(key)
        return None

    def _write(self, key: str, value: bytes, expires: float) -> None:
        folder, name = divided(key)
        records = self._folders.setdefault(folder, {})
        self._count += name not in records
        records[name] = value, expires
        self._sweep()

    def _remove(self, key: str) -> None:
        folder, name = divided(key)
        records = self._folders.get(folder, {})
        if name in records:
            self._count -= 1
            del records[name]
            if not records:
                del self._folders[folder]

    def _sweep(self) -> None:
        """Drop what has expired whenever the store has doubled: amortised O(1) a write."""
        if self._count < self._sweep_at:
            return
        now = self._clock.monotonic()
        swept = {
            folder: {name: record for name, record in records.items() if record[1] > now}
            for folder, records in self._folders.items()
        }
        self._folders = {folder: records for folder, records in swept.items() if records}
        self._count = sum(map(len, self._folders.values()))
        self._sweep_at = max(1024, 2 * self._count)


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

    async def __aexit__(self, *error: object) -> None:
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
