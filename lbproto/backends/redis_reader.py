"""Reads a shard's log to find what other positions have missed."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from time import monotonic

from lbproto.backends.parcels import ROOM, Place
from lbproto.backends.redis_log import Logged, Logs
from lbproto.backends.redis_questions import Questions

__all__ = ["Reader"]

_ARRIVAL_SECONDS = 1.0  # seconds that another node's latest messages may take
_POLL_SECONDS = 0.05  # seconds between two looks
_UNUSED_SECONDS = 10.0  # seconds until what was read is let go


class Reader:
    """Reads a log; what it has read is kept for a while.

    Where a node has died, hundreds of its sessions come within seconds: each would read the same.

    Args:
        questions: by which it is read.
        logs: what is read.
        tag: of the shard.
        max_bytes: how many are kept, about.
    """

    def __init__(self, questions: Questions, logs: Logs, tag: str, max_bytes: int) -> None:
        self._questions = questions
        self._logs = logs
        self._tag = tag
        self._max_bytes = max_bytes
        self._reading = asyncio.Lock()
        self._used = 0.0
        self._begin(Place())

    def _begin(self, place: Place) -> None:
        """Keep nothing, but go on from a place in both directions."""
        self._epoch = place.epoch
        self._after = self._until = place.number
        self._bytes = 0
        self._by_channel: dict[str, list[Logged]] = {}

    def forget_unused(self) -> None:
        """Drop cached parts of the log that were not used lately."""
        if self._by_channel and monotonic() - self._used > _UNUSED_SECONDS:
            self._begin(Place())

    async def head_with(self, own: Mapping[str, int]) -> Place | None:
        """How far the log has got once it has so many messages of each node.

        Returns:
            None where they do not come within a second.

        Raises:
            Overloaded: it cannot be read.
        """
        until = monotonic() + _ARRIVAL_SECONDS
        while True:
            head = await self._questions.ask(partial(self._logs.head, tag=self._tag, nodes=own))
            if all(come >= wanted for come, wanted in zip(head.own, own.values(), strict=True)):
                return head.place
            if monotonic() > until:
                return None
            await asyncio.sleep(_POLL_SECONDS)

    async def read(
        self, channels: Collection[str], after: int, until: Place
    ) -> Sequence[Logged] | None:
        """The parcels to some channels, from behind a number up to a place; in order.

        Returns:
            None where the log does not reach back, or has begun anew.

        Raises:
            Overloaded: it cannot be read.
        """
        async with self._reading:
            self._used = monotonic()
            if self._epoch != until.epoch or self._bytes > self._max_bytes:
                self._begin(until)
            if after < self._after:
                older = await self._pages(after, self._after)
                if not older:
                    return None
                self._keep(older, before=True)
            if self._until < until.number:
                newer = await self._pages(self._until, until.number)
                if not newer:
                    return None
                self._keep(newer, before=False)
            found: list[Logged] = []
            for channel in channels:
                kept = self._by_channel.get(channel, [])
                found += kept[bisect_right(kept, after, key=_number) :]
        return sorted(found, key=_number)

    async def _pages(self, after: int, until: int) -> list[Logged] | None:
        """What the log has in between; None where there is a gap."""
        found: list[Logged] = []
        while after < until:
            page = await self._questions.ask(
                partial(self._logs.read, tag=self._tag, first=after + 1)
            )
            if page.place.epoch != self._epoch or not page.parcels:
                return None
            for logged in page.parcels:
                if logged.follows > after:
                    return None
                after = _number(logged)
                found.append(logged)
                if after >= until:
                    break
        return found

    def _keep(self, parcels: Sequence[Logged], *, before: bool) -> None:
        by_channel: dict[str, list[Logged]] = {}
        for logged in parcels:
            by_channel.setdefault(logged.name.removeprefix(ROOM), []).append(logged)
            self._bytes += len(logged.data)
        if before:
            self._after = parcels[0].follows
            for channel, older in by_channel.items():
                self._by_channel[channel] = older + self._by_channel.get(channel, [])
        else:
            self._until = _number(parcels[-1])
            for channel, newer in by_channel.items():
                self._by_channel.setdefault(channel, []).extend(newer)


def _number(logged: Logged) -> int:
    return logged.place.number
