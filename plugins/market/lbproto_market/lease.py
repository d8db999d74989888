"""A lease: a record that expires, which one node holds at a time and renews."""

from __future__ import annotations

import anyio

from lbproto import Clock, Overloaded
from lbproto.backends.base import Storage

__all__ = ["Lease"]


class Lease:
    """One node's view of who leads.

    Whoever cannot renew it in time takes it for lost, so two do not hold it at once, but for one
    case: a process that stands still between looking and writing, for longer than the lease lasts,
    overwrites its successor's, who sees that at its next renewal.

    Args:
        storage: where it is kept, for all nodes.
        key: its name there.
        holder: who this is; nobody else has this name.
        clock: by which it is told whether it has lapsed.
        seconds: how long it lasts unless it is renewed.
    """

    def __init__(
        self, storage: Storage, key: str, holder: str, clock: Clock, seconds: float
    ) -> None:
        self._storage = storage
        self._key = key
        self._holder = holder.encode()
        self._clock = clock
        self._seconds = seconds
        self._until = 0.0

    async def take(self) -> bool:
        """Take it where nobody has it; whether it is ours now. Raises nothing."""
        began = self._clock.monotonic()
        try:
            with anyio.fail_after(self._seconds / 4):
                ours = await self._storage.put_new(self._key, self._holder, ttl=self._seconds)
        except (Overloaded, TimeoutError):
            return False  # where it was written all the same, it expires
        if ours:
            self._until = began + self._seconds
        return ours

    async def renew(self) -> bool:
        """Have it last on; whether it is still ours. Raises nothing."""
        began = self._clock.monotonic()
        try:
            with anyio.fail_after(self._seconds / 4):
                if await self._storage.get(self._key) != self._holder:
                    return False
                await self._storage.put(self._key, self._holder, ttl=self._seconds)
        except (Overloaded, TimeoutError):
            return self._clock.monotonic() < self._until - self._seconds / 2
        self._until = began + self._seconds
        return True

    async def give_up(self) -> None:
        """Let somebody else have it at once, as far as that can be said. Raises nothing."""
        with anyio.move_on_after(self._seconds / 4, shield=True):
            try:
                if await self._storage.get(self._key) == self._holder:
                    await self._storage.delete(self._key)
            except Overloaded:
                return  # it expires
