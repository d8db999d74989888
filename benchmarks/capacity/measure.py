"""What nodes cost each other, measured on this machine: `python -m benchmarks.capacity measure`.

With a Valkey beside it, in half a minute. The figures of one connection, one delivery and one
request are those of `python -m benchmarks`, which takes longer.
"""

from __future__ import annotations

import asyncio
import os
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple

import anyio
import uvloop

from benchmarks.capacity.measure_sessions import sessions, usage_of
from benchmarks.machine import LOAD_CORE, on_core
from benchmarks.peers.payload import BROKER
from lbproto.backends.redis_pubsub import RedisPubSub
from lbproto.backends.redis_storage import RedisStorage
from lbproto.load import ServerProcess
from lbproto.nodes.messages import Changes, Share, Whole, decode, encode
from lbproto.nodes.roster import Roster
from lbproto.nodes.teller import Teller
from lbproto.sessions.session import personal_room
from tests.ledger.servers import Valkey

__all__ = ["measured"]

_PAUSE = 0.002  # seconds between two turns of the loop that publish
_BURST = 16  # channels that something is published to in one turn
_HEARERS = 8
_PAYLOAD = bytes(200)
_USER = "01234567-89ab-cdef-0123-{:012d}"  # 36 characters, as of a UUID


class _Scale(NamedTuple):
    """How much of each is measured.

    Attributes:
        turns: of the loop, that publish.
        calls: of the storage, twice as many.
        shares: sessions of another node.
        clients: that have sessions.
    """

    turns: int
    calls: int
    shares: int
    clients: int


_LONG, _QUICK = _Scale(500, 2_000, 50_000, 400), _Scale(50, 50, 1_000, 20)


class _Used(NamedTuple):
    """µs a turn: of this process, which publishes and hears, and of the broker."""

    own: float
    broker: float


class _Watch:
    """What this process and the broker use.

    Args:
        valkey: it.
    """

    def __init__(self, valkey: Valkey) -> None:
        self._broker = ServerProcess(valkey.pid)
        self._own, self._its = self._now()

    def _now(self) -> tuple[float, float]:
        return time.process_time(), usage_of(self._broker).on_cpu

    def used(self, times: int) -> _Used:
        """By each of so many, since it was made."""
        own, its = self._now()
        return _Used((own - self._own) / times * 1e6, (its - self._its) / times * 1e6)


async def _publishing(valkey: Valkey, turns: int, burst: int, hearers: int) -> _Used:
    """What a turn costs in which one message goes to each of so many channels."""
    prefix = f"b{burst}h{hearers}"
    channels = [f"room{number}" for number in range(burst)]
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(RedisPubSub(valkey.url, prefix=prefix))
        tasks = await stack.enter_async_context(anyio.create_task_group())
        for _ in range(hearers):
            hearer = await stack.enter_async_context(RedisPubSub(valkey.url, prefix=prefix))
            for channel in channels:
                await hearer.subscribe(channel)
            tasks.start_soon(_hear, hearer)
        watch = _Watch(valkey)
        for _ in range(turns):
            for channel in channels:
                publisher.publish_nowait(channel, _PAYLOAD, kept=True)
            await asyncio.sleep(_PAUSE)
        used = watch.used(turns)
        tasks.cancel_scope.cancel()
    return used


async def _hear(hearer: RedisPubSub) -> None:
    async for _ in hearer.messages():
        pass


async def _messages(valkey: Valkey, turns: int) -> dict[str, float]:
    nothing = await _publishing(valkey, turns, 0, 0)
    single = await _publishing(valkey, turns, 1, 0)
    many = await _publishing(valkey, turns, _BURST, 0)
    heard = await _publishing(valkey, turns, _BURST, _HEARERS)
    parcel = [(more - one) / (_BURST - 1) for more, one in zip(many, single, strict=True)]
    call = [one - no - each for one, no, each in zip(single, nothing, parcel, strict=True)]
    copies = _BURST * _HEARERS
    copy = [(all_ - none) / copies for all_, none in zip(heard, many, strict=True)]
    return {
        "say_call_us": call[0],
        "say_us": parcel[0],
        "hear_us": copy[0],
        "broker_call_us": call[1],
        "broker_parcel_us": parcel[1],
        "broker_copy_us": copy[1],
    }


async def _storage(valkey: Valkey, calls: int) -> dict[str, float]:
    value = bytes(300)
    async with RedisStorage(valkey.url) as storage:
        watch = _Watch(valkey)
        for number in range(calls):
            key = f"lbproto/sessions/{number:040d}"
            await storage.get(key)
            await storage.put(key, value, ttl=86_400)
        own, broker = watch.used(2 * calls)
    return {"store_us": own, "broker_store_us": broker}


def _roster(many: int) -> Iterator[tuple[str, float]]:
    """What it costs to know of the sessions of another node: time each, and memory."""
    shares = [Share(personal_room(_USER.format(number)), 1) for number in range(many)]
    began = time.process_time()
    teller = Teller("a")
    teller.skip()  # so that whoever hears the whole needs it
    whole = [encode(part) for part in teller.whole(shares)]
    yield "whole_say_us", (time.process_time() - began) / many * 1e6
    yield "whole_hear_us", _heard(Roster("b"), whole) / many * 1e6
    teller = Teller("a")
    told = [encode(each) for share in shares for each in teller.changes((share,))]
    yield "told_us", _heard(Roster("b"), told) / many * 1e6
    tracemalloc.start()
    roster = Roster("b")
    _heard(roster, told)
    yield "elsewhere_bytes", tracemalloc.get_traced_memory()[0] / many
    tracemalloc.stop()


def _heard(roster: Roster, messages: Sequence[bytes]) -> float:
    """Seconds that it takes to hear them."""
    began = time.process_time()
    for each in messages:
        message = decode(each)
        assert isinstance(message, Changes | Whole)  # noqa: S101 - that is what it was
        roster.hear(message, 0.0)
    return time.process_time() - began


def measured(*, quick: bool = False) -> dict[str, float]:
    """What was found, by the names of `UnitCosts`.

    And what a session that begins, or moves, costs the broker and the storage together: which is
    what its parts should come to.

    Args:
        quick: measure for a moment, only to see that all of it works.

    Raises:
        OSError: the system does not tell what a process uses.
    """
    scale = _QUICK if quick else _LONG
    valkey = Valkey(appendonly="no")
    before = os.environ.get(BROKER)
    os.environ[BROKER] = valkey.url
    try:
        with on_core(LOAD_CORE):
            found = dict(_roster(scale.shares))
            found |= uvloop.run(_messages(valkey, scale.turns))
            found |= uvloop.run(_storage(valkey, scale.calls))
            found |= asyncio.run(sessions(valkey, scale.clients))
    finally:
        valkey.stop()
        if before is None:
            del os.environ[BROKER]
        else:
            os.environ[BROKER] = before
    return found
