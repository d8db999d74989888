"""Who goes when; and a server that is drained, on a clock that only moves when told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from random import Random
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto import Context, Event, Plugin
from lbproto.connection.plain import PlainConnection
from lbproto.scheduling.drain import batches
from lbproto.testing import VirtualClock, settle
from lbproto.wire import CloseCode, Peer
from lbproto.wire.plain import PLAIN_JSON
from tests.core.harness import MemoryTransport, make_server

# Who goes when


def shuffled(seed: int) -> Random:
    """An order that is the same in every run."""
    return Random(seed)  # noqa: S311 - no secret


@given(st.integers(0, 300), st.floats(0, 60), st.integers())
def test_everybody_goes_once_within_the_time(count: int, seconds: float, seed: int) -> None:
    plan = batches(range(count), seconds, shuffled(seed))
    assert sorted(member for batch in plan for member in batch.members) == list(range(count))
    times = [batch.after for batch in plan]
    assert times == sorted(set(times))
    assert times[:1] == [0.0] * bool(count)
    assert all(after < seconds or after == 0 for after in times)


@given(st.integers(1, 300), st.floats(0, 60))
def test_batches_are_even(count: int, seconds: float) -> None:
    plan = batches(range(count), seconds, shuffled(1))
    sizes = {len(batch.members) for batch in plan}
    assert max(sizes) - min(sizes) <= 1
    gaps = [late.after - early.after for early, late in pairwise(plan)]
    if gaps:  # about a tenth of a second, or for a few as many of them as it takes
        assert min(gaps) > 0.07
        assert max(gaps) < min(gaps) + 0.13


@given(st.integers(1, 300), st.floats(0, 60))
def test_whoever_waits_as_told_is_not_early(count: int, seconds: float) -> None:
    for batch in batches(range(count), seconds, shuffled(1)):
        assert isinstance(batch.retry_after, int)
        assert batch.retry_after >= 1
        assert batch.after <= batch.retry_after < batch.after + 1 or batch.retry_after == 1


def test_many_are_spread_over_the_whole_time() -> None:
    plan = batches(range(1_000), 10, shuffled(1))
    assert [len(batch.members) for batch in plan] == [10] * 100
    assert [batch.after for batch in plan] == pytest.approx([number / 10 for number in range(100)])


def test_a_few_are_spread_too() -> None:
    assert [batch.after for batch in batches("abcd", 10, shuffled(1))] == [0, 2.5, 5, 7.5]


def test_over_no_time_all_go_at_once() -> None:
    (batch,) = batches(range(50), 0, shuffled(1))
    assert (batch.after, len(batch.members)) == (0, 50)


def test_the_order_is_random() -> None:
    orders = {
        tuple(member for batch in batches(range(50), 5, shuffled(seed)) for member in batch.members)
        for seed in range(5)
    }
    assert len(orders) == 5
    assert tuple(range(50)) not in orders


# A server that is drained


class Work(Event):
    pass


class Done(Event):
    pass


class Desk:
    """A server whose one request takes until it is let go, and its clients on plain WebSocket."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.gate = anyio.Event()
        plugin = Plugin("desk")

        @plugin.on(Work)
        async def work(ctx: Context, request: Work) -> Done:
            await self.gate.wait()
            return Done()

        self.server = make_server(plugin, clock=self.clock)
        self.transports: list[MemoryTransport] = []
        self.connections: list[PlainConnection] = []
        self.drained = False

    async def connect(self, count: int = 1, user: str | None = "ada") -> None:
        """Let clients in, each with a session if it says whose."""
        for _ in range(count):
            transport = MemoryTransport()
            connection = PlainConnection(
                self.server.runtime, Peer(), transport, self.server.sessions, PLAIN_JSON, user
            )
            self.transports.append(transport)
            self.connections.append(connection)
            await connection.work()
        await settle()
        for transport in self.transports:
            transport.sent.clear()

    def ask(self, who: int = 0) -> None:
        """Have a client send its request."""
        self.connections[who].receive('{"event":"work"}')

    def told(self, who: int) -> list[Any]:
        """What a client has been sent: payloads of `server_draining`, names of other events."""
        events = [json.loads(message) for message in self.transports[who].sent]
        return [
            event["data"] if event["event"] == "server_draining" else event["event"]
            for event in events
        ]

    @property
    def open(self) -> set[int]:
        """Those that have not been closed."""
        return {who for who, one in enumerate(self.transports) if one.closed is None}

    async def drain(self, seconds: float) -> None:
        await self.server.drain(seconds)
        self.drained = True

    @asynccontextmanager
    async def draining(self, seconds: float) -> AsyncIterator[None]:
        """Drain while the body runs; the drain has to be over by its end."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.drain, seconds)
            await settle()
            yield
            assert self.drained
        assert not self.server.runtime.connections


@asynccontextmanager
async def desk_of(clients: int = 1) -> AsyncIterator[Desk]:
    desk = Desk()
    async with desk.server.lifespan():
        await desk.connect(clients)
        yield desk


@pytest.mark.anyio
async def test_each_is_told_when_and_closed_then() -> None:
    async with desk_of(100) as desk, desk.draining(10):
        told = []
        for who in range(100):
            (draining,) = desk.told(who)
            told.append(draining["retryAfter"])
        assert Counter(told) == {1: 11, **dict.fromkeys(range(2, 10), 10), 10: 9}
        for second in range(1, 11):
            await desk.clock.advance(1)
            assert desk.open == {who for who in range(100) if told[who] > second}
    restart = (CloseCode.SERVICE_RESTART, "the server is stopping")
    assert all(transport.closed == restart for transport in desk.transports)


@pytest.mark.anyio
async def test_their_sessions_wait_for_them() -> None:
    async with desk_of(3) as desk:
        await desk.server.drain(0)
        assert desk.server.sessions.away == 3


@pytest.mark.anyio
async def test_whoever_is_still_sent_what_it_missed_only_sees_the_close() -> None:
    """What it was told would carry the newest offset: it would resume from there."""
    async with desk_of() as desk:
        (session,) = desk.server.sessions.directory.of("ada")
        desk.connections[0].lost("transport close")
        for _ in range(2_000):
            desk.server.to_user("ada").emit(Done())
        transport = MemoryTransport()
        transport.open = anyio.Event()
        peer = Peer(query={"pid": str(session.pid)})
        sessions = desk.server.sessions
        PlainConnection(desk.server.runtime, peer, transport, sessions, PLAIN_JSON, "ada")
        await settle()
        async with desk.draining(10):
            transport.open.set()
            await settle()
        names = [json.loads(message)["event"] for message in transport.sent]
        assert names == ["connected", *["done"] * 2_000, "recovered"]
        assert transport.closed is not None


@pytest.mark.anyio
async def test_it_is_over_when_the_last_has_gone() -> None:
    async with desk_of(2) as desk, desk.draining(10):
        await desk.clock.advance(4.9)
        assert (len(desk.open), desk.drained) == (1, False)
        await desk.clock.advance(0.1)
        assert (len(desk.open), desk.drained) == (0, True)


@pytest.mark.anyio
async def test_nobody_is_waited_for_where_nobody_is_connected() -> None:
    async with desk_of(0) as desk, desk.draining(10):
        assert desk.drained
        assert not desk.server.runtime.accepting


@pytest.mark.anyio
@pytest.mark.parametrize("told", [True, False], ids=["drain", "close"])
async def test_over_no_time_all_are_closed_at_once(told: bool) -> None:
    async with desk_of(3) as desk:
        await (desk.server.drain(0) if told else desk.server.close())
        assert desk.open == set()
        for who in range(3):
            assert desk.told(who) == [{"retryAfter": 1}] * told


@pytest.mark.anyio
async def test_a_request_that_is_being_served_is_finished_first() -> None:
    async with desk_of() as desk:
        desk.ask()
        async with desk.draining(10):
            await desk.clock.advance(5)
            assert desk.open == {0}
            desk.gate.set()
            await settle()
            assert desk.told(0) == [{"retryAfter": 1}, "done"]
            assert desk.drained


@pytest.mark.anyio
async def test_so_are_those_behind_it_but_no_later_ones() -> None:
    async with desk_of() as desk:
        desk.ask()
        desk.ask()
        async with desk.draining(10):
            await desk.clock.advance(5)
            desk.ask()
            desk.gate.set()
            await settle()
            assert desk.told(0) == [{"retryAfter": 1}, "done", "done"]


@pytest.mark.anyio
async def test_requests_are_served_until_their_client_goes() -> None:
    async with desk_of(100) as desk, desk.draining(10):
        desk.gate.set()
        await desk.clock.advance(5)
        late = min(desk.open)
        desk.ask(late)
        await settle()
        assert desk.told(late)[1:] == ["done"]
        assert late in desk.open
        await desk.clock.advance(5)


@pytest.mark.anyio
async def test_a_request_that_takes_longer_is_given_up() -> None:
    async with desk_of() as desk:
        desk.ask()
        async with desk.draining(10):
            await desk.clock.advance(9.9)
            assert desk.open == {0}
            await desk.clock.advance(0.1)
            assert desk.transports[0].closed is not None
            assert desk.transports[0].closed[0] is CloseCode.SERVICE_RESTART
            assert desk.drained
        desk.gate.set()
        await settle()
        assert desk.told(0) == [{"retryAfter": 1}]


@pytest.mark.anyio
async def test_whoever_does_not_read_is_cut_off_at_the_end() -> None:
    async with desk_of(3) as desk:
        desk.transports[1].open = anyio.Event()
        async with desk.draining(10):
            await desk.clock.advance(10)
            assert desk.open == {1}
            await desk.clock.advance(1.9)
            assert not desk.drained
            await desk.clock.advance(0.1)


@pytest.mark.anyio
async def test_a_client_that_has_no_session_yet_goes_too() -> None:
    async with desk_of(0) as desk:
        await desk.connect(user=None)
        async with desk.draining(2):
            assert desk.open == set()
            assert desk.told(0) == []


@pytest.mark.anyio
async def test_a_client_that_was_being_let_in_does_not_stay() -> None:
    async with desk_of(2) as desk, desk.draining(10):
        await desk.connect()  # its websocket was being accepted when the drain began
        await desk.clock.advance(4)
        assert 2 in desk.open
        await desk.clock.advance(1)
        assert desk.open == set()


@pytest.mark.anyio
async def test_a_second_drain_waits_too_and_tells_nobody_again() -> None:
    async with desk_of(10) as desk, desk.draining(10):
        async with anyio.create_task_group() as tasks:
            await desk.clock.advance(3)
            left = desk.open
            tasks.start_soon(desk.server.drain, 30)
            await settle()
            assert desk.open == left
            await desk.clock.advance(6)
        assert all(len(desk.told(who)) == 1 for who in range(10))


@pytest.mark.anyio
async def test_a_shorter_drain_cuts_a_longer_one_short() -> None:
    async with desk_of(10) as desk, desk.draining(10):
        async with anyio.create_task_group() as tasks:
            await desk.clock.advance(3)
            tasks.start_soon(desk.server.drain, 2)
            await desk.clock.advance(1)
            assert len(desk.open) == 5
            await desk.clock.advance(1)
        assert desk.open == set()


@pytest.mark.anyio
async def test_closing_ends_a_drain() -> None:
    async with desk_of(10) as desk, desk.draining(10):
        await desk.clock.advance(3)
        await desk.server.close()
        assert desk.open == set()
        await settle()


@pytest.mark.anyio
async def test_a_drain_that_is_cancelled_goes_on_until_the_server_stops() -> None:
    async with desk_of(10) as desk:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(desk.server.drain, 10)
                await settle()
                scope.cancel()
        assert len(desk.open) == 9
        await desk.clock.advance(4)
        assert len(desk.open) == 5
    assert desk.open == set()


@pytest.mark.anyio
async def test_a_server_that_was_drained_may_be_started_again() -> None:
    desk = Desk()
    for _ in range(2):
        async with desk.server.lifespan():
            await desk.connect(2)
            async with desk.draining(1):
                await desk.clock.advance(1)
        desk.drained = False
