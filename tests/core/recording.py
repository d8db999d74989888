"""Nodes whose jobs are recorded, and that may lose the storage, or die."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from lbproto import Overloaded, Server
from lbproto.backends.base import Storage
from lbproto.backends.memory import MemoryStorage
from lbproto.testing import VirtualClock

__all__ = ["Line", "Nodes"]


class Running(Protocol):
    """What has jobs, and a server for them."""

    def running(self, **options: Any) -> AbstractAsyncContextManager[Server]: ...


class Line(Storage):
    """A node's connection to a storage.

    Attributes:
        is_cut: whether the storage is out of reach.
        loses_answers: whether it is not known whether a new record was written.
    """

    durable = True

    def __init__(self, storage: MemoryStorage) -> None:
        self._storage = storage
        self.is_cut = False
        self.loses_answers = False

    async def get(self, key: str) -> bytes | None:
        return await self._reached().get(key)

    async def put(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        await self._reached().put(key, value, ttl=ttl)

    async def put_new(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        is_set = await self._reached().put_new(key, value, ttl=ttl)
        if self.loses_answers:
            raise Overloaded("the answer was lost")
        return is_set

    async def delete(self, key: str) -> bool:
        return await self._reached().delete(key)

    async def increment(self, key: str, by: int = 1) -> int:
        return await self._reached().increment(key, by)

    async def children(self, parent: str) -> dict[str, bytes]:
        return await self._reached().children(parent)

    def _reached(self) -> MemoryStorage:
        if self.is_cut:
            raise Overloaded("the line is cut")
        return self._storage


class Nodes:
    """Servers that share a storage and a clock.

    Attributes:
        clock: theirs.
        storage: theirs.
    """

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.storage = MemoryStorage(self.clock)

    @asynccontextmanager
    async def running(
        self, site: Running, *, dies: bool = False, **options: Any
    ) -> AsyncIterator[tuple[Server, Line]]:
        """A node, and its line to the storage.

        Args:
            dies: whether it does at the end: what it does then reaches no storage any more.
        """
        line = Line(self.storage)
        async with site.running(storage=line, clock=self.clock, **options) as server:
            yield server, line
            line.is_cut = dies

    def records(self) -> list[str]:
        """The keys of all records of jobs."""
        return [
            folder + name
            for folder, names in self.storage._folders.items()
            if folder.startswith("lbproto/jobs/")
            for name in names
        ]

    def leases(self) -> int:
        """How many nodes have one."""
        return len(self.storage._folders.get("lbproto/nodes/", ()))
