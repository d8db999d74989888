"""Storage and pub/sub within one process: for one node, for tests, and as the ports' reference.

Several servers in one process that share a `MemoryBroker` are nodes of one application.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from itertools import islice
from secrets import token_urlsafe
from typing import NamedTuple, Self

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


class _Kept(NamedTuple):
    """A message in the log: the broker's number of it, who published it as which of its own."""

    number: int
    node: str
    own: int
    channel: str
    payload: bytes


class MemoryBroker:
    """Connects the `MemoryPubSub` of several nodes, and keeps the log of what they publish.

    Args:
        max_kept: how many messages the log has at most.
    """

    def __init__(self, *, max_kept: int = 100_000) -> None:
        self.nodes: set[MemoryPubSub] = set()
        self.log: deque[_Kept] = deque(maxlen=max_kept)
        self.number = 0

    @property
    def gone(self) -> int:
        """The number of the newest message that the log has dropped."""
        return self.number - len(self.log)


class MemoryPubSub(PubSub):
    """One node's end of a `MemoryBroker`.

    Args:
        broker: shared by the nodes; None for a node alone, which needs no log.
        capacity: messages a node may be behind before publishing to it fails with `Overloaded`.
    """

    def __init__(self, broker: MemoryBroker | None = None, *, capacity: int = 65_536) -> None:
        self._broker = broker or MemoryBroker()
        self._logs = broker is not None
        self._capacity = capacity
        self._channels: set[str] = set()
        self._send: MemoryObjectSendStream[_Sent]
        self._receive: MemoryObjectReceiveStream[_Sent]

    async def __aenter__(self) -> Self:
        self._send, self._receive = anyio.create_memory_object_stream(self._capacity)
        self._node, self._own = token_urlsafe(6), 0
        self._caught_up: dict[str, anyio.Event] = {}
        if self._logs:
            self._get_to(self._broker.number)
        self._broker.nodes.add(self)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._broker.nodes.discard(self)
        self._send.close()
        self._receive.close()

    def publish_nowait(self, channel: str, payload: bytes, *, kept: bool = False) -> None:
        others = [node for node in self._broker.nodes if node is not self and node.takes(channel)]
        if any(node.full for node in others):
            raise Overloaded(f"a node is too far behind to take {channel!r}")
        if kept and self._logs:
            self._own += 1
            self._broker.number += 1
            kept_as = _Kept(self._broker.number, self._node, self._own, channel, payload)
            self._broker.log.append(kept_as)
            self._get_to(self._number)
        for node in others:
            node.deliver_nowait(channel, payload, self._broker.number)

    def is_awaited(self, channel: str, *, kept: bool = False) -> bool:
        if kept and self._logs:
            return True
        nodes = self._broker.nodes
        return len(nodes) > 1 and any(node is not self and node.takes(channel) for node in nodes)

    def takes(self, channel: str) -> bool:
        """Whether this node has subscribed to a channel."""
        return channel in self._channels

    @property
    def full(self) -> bool:
        """Whether this node is too far behind to take another message."""
        return self._send.statistics().current_buffer_used >= self._capacity

    def deliver_nowait(self, channel: str, payload: bytes, number: int) -> None:
        """Take a message from another node, while not `full`; the log's newest is `number`."""
        self._send.send_nowait((channel, payload, number))

    async def subscribe(self, channel: str) -> None:
        self._channels.add(channel)

    async def unsubscribe(self, channel: str) -> None:
        self._channels.discard(channel)

    async def messages(self) -> AsyncIterator[tuple[str, bytes | None]]:
        async for channel, payload, number in self._receive:
            if self._logs:
                self._get_to(number)
            if payload is None:
                self._caught_up.pop(channel).set()
            else:
                yield channel, payload

    async def catch_up(self) -> None:
        if self._logs:
            name = token_urlsafe(6)
            caught_up = self._caught_up[name] = anyio.Event()
            try:
                self._send.send_nowait((name, None, self._broker.number))
            except anyio.WouldBlock:
                raise Overloaded("this node is too far behind") from None
            await caught_up.wait()

    def _get_to(self, number: int) -> None:
        self._number = number
        self.position = f"{self._node}:{self._own}:{number}"

    async def missed(
        self, behind: Mapping[str, Collection[str]]
    ) -> Sequence[tuple[str, bytes]] | None:
        if not self._logs:
            return None
        try:
            read = {text: _Position.read(text) for texts in behind.values() for text in texts}
        except ValueError:
            return None
        here = _Position.read(self.position)
        if any(
            max(read[text].number for text in texts) < self._broker.gone
            for texts in behind.values()
        ):
            return None
        return [
            (kept.channel, kept.payload)
            for kept in self._broker.log
            if kept.channel in behind
            and here.includes(kept)
            and not any(read[text].includes(kept) for text in behind[kept.channel])
        ]


class _Position(NamedTuple):
    """A node's position: in its own messages, and in the log."""

    node: str
    own: int
    number: int

    @classmethod
    def read(cls, text: str) -> _Position:
        """Decode a position.

        Raises:
            ValueError: it is not a position.
        """
        node, own, number = text.rsplit(":", 2)
        return cls(node, int(own), int(number))

    def includes(self, kept: _Kept) -> bool:
        """Whether a message belongs to it."""
        return kept.own <= self.own if kept.node == self.node else kept.number <= self.number


_Sent = tuple[str, bytes | None, int]
"""A channel, a payload, and the log's number by then; or who waits for that, and None."""
