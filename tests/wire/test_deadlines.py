"""Heartbeats and deadlines, on a clock that only moves when told."""

from __future__ import annotations

import pytest

from lbproto.connection.runtime import Runtime
from lbproto.frame import Message
from lbproto.scheduling.timers import Timers
from lbproto.testing import VirtualClock, settle
from lbproto.transport import CloseCode
from lbproto.wire import Settings
from tests.wire.kit import (
    Client,
    Program,
    engine_client,
    plain_client,
    polling_client,
    running,
)

pytestmark = pytest.mark.anyio

PING_TIMEOUT = (CloseCode.GOING_AWAY, "ping timeout")
TOO_LATE = (
    '{"event":"error","data":'
    '{"code":"UNAUTHORIZED","message":"no token came in time","event":"authenticate"}}'
)
NOBODY = (CloseCode.POLICY_VIOLATION, "no namespace was connected in time")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def pings(messages: list[Message]) -> int:
    return messages.count("2")


async def connected(runtime: Runtime) -> tuple[Program, Client]:
    program = Program()
    client = engine_client(runtime, program)
    await client.send("40")
    client.transport.take()
    return program, client


# Heartbeats


async def test_a_silent_peer_is_found_when_promised(clock: VirtualClock) -> None:
    async with running(clock=clock) as runtime:
        program, client = await connected(runtime)
        await clock.advance(24.9)
        assert client.transport.take() == []
        await clock.advance(0.1)
        assert client.transport.take() == ["2"]
        await clock.advance(19.9)
        assert client.transport.is_open
        await clock.advance(0.1)
        assert client.transport.closed == PING_TIMEOUT
        assert client.transport.take() == []
        assert program.log[-1] == ("closed", "/", "ping timeout")
        assert not runtime.engines


async def test_a_transport_that_cannot_be_closed_ends_no_server(
    clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(code: CloseCode, reason: str) -> None:
        raise ExceptionGroup(f"cannot say {reason}", [ValueError(code)])

    async with running(clock=clock) as runtime:
        program, silent = await connected(runtime)
        silent.transport.close = fail  # type: ignore[method-assign]
        await clock.advance(45.0)
        assert program.log[-1] == ("closed", "/", "ping timeout")
        assert "a task of a connection failed" in caplog.text
        _, client = await connected(runtime)
        await clock.advance(25.0)
        assert client.transport.take() == ["2"]


async def test_an_answering_peer_is_asked_every_interval(clock: VirtualClock) -> None:
    async with running(clock=clock) as runtime:
        _, client = await connected(runtime)
        for _ in range(10):
            await clock.advance(25.0)
            assert client.transport.take() == ["2"]
            await clock.advance(5.0)
            await client.send("3")
            await clock.advance(-5.0)
        assert client.transport.is_open


@pytest.mark.parametrize(("interval", "within"), [(25.0, 20.0), (10.0, 60.0), (1.0, 1.0)])
async def test_a_slow_but_living_peer_is_kept(
    clock: VirtualClock, interval: float, within: float
) -> None:
    # Also with a time-out longer than the interval, which many set.
    settings = Settings(ping_interval=interval, ping_timeout=within)
    async with running(settings, clock) as runtime:
        _, client = await connected(runtime)
        asked = 0
        for _ in range(20):
            waited = 0.0
            while not client.transport.messages:
                await clock.advance(interval / 4)
                waited += interval / 4
                assert waited <= interval  # a stock client gives up after interval and time-out
            asked += pings(client.transport.take())
            await clock.advance(min(within, interval) * 0.5)
            await client.send("3")
        assert asked == 20
        assert client.transport.is_open


async def test_a_long_time_out_is_given_in_full(clock: VirtualClock) -> None:
    settings = Settings(ping_interval=10.0, ping_timeout=60.0)
    async with running(settings, clock) as runtime:
        _, client = await connected(runtime)
        for _ in range(5):
            await clock.advance(10.0)
            await client.send("3")
        client.transport.take()
        await clock.advance(10.0)
        assert client.transport.take() == ["2"]
        await clock.advance(59.9)
        assert client.transport.is_open
        await clock.advance(0.1)
        assert client.transport.closed == PING_TIMEOUT


async def test_messages_do_not_replace_a_heartbeat(clock: VirtualClock) -> None:
    async with running(clock=clock) as runtime:
        _, client = await connected(runtime)
        for _ in range(9):
            await clock.advance(5.0)
            await client.send('42["echo"]')
        assert client.transport.closed == PING_TIMEOUT


async def test_a_held_up_event_loop_forgives_nothing(clock: VirtualClock) -> None:
    async with running(clock=clock) as runtime:
        _, client = await connected(runtime)
        clock.jump(44.0)
        await clock.advance(0.0)
        assert client.transport.take() == ["2"]  # 19 s late
        await clock.advance(1.0)
        assert client.transport.closed == PING_TIMEOUT


async def test_a_peer_we_did_not_read_from_is_excused(clock: VirtualClock) -> None:
    async with running(Settings(max_pending_requests=1), clock) as runtime:
        program, client = await connected(runtime)
        client.send_nowait('42["slow"]', '42["slow"]')
        await clock.advance(100.0)
        assert client.transport.is_open  # its pong may be waiting behind what we do not read
        program.release()
        await settle()
        program.release()
        await settle()
        await client.send("3")
        client.transport.take()
        await clock.advance(25.0)
        assert client.transport.take() == ["2"]
        await clock.advance(20.0)
        assert client.transport.closed == PING_TIMEOUT


async def test_a_peer_that_does_not_read_is_found_too(clock: VirtualClock) -> None:
    async with running(clock=clock) as runtime:
        program, client = await connected(runtime)
        client.transport.pause()
        program.sockets["/"].emit("unread")
        await clock.advance(45.0)
        assert client.transport.closed == PING_TIMEOUT
        client.transport.resume()


async def test_a_silent_poller_is_found_too(clock: VirtualClock) -> None:
    async with running(clock=clock) as runtime:
        connection = polling_client(runtime, Program())
        connection.receive("40")
        await clock.advance(45.0)
        assert connection.closed
        assert connection.engine.sid not in runtime.engines


async def test_an_overdue_heartbeat_can_be_noticed_before_its_timer(clock: VirtualClock) -> None:
    async with running(clock=clock) as runtime:
        _, client = await connected(runtime)
        connection = client.connection
        assert connection in runtime.connections
        engine = next(iter(runtime.engines.values()))
        engine.expire()
        await clock.advance(25.0)
        clock.jump(20.0)
        engine.expire()
        engine.expire()
        await settle()
        assert client.transport.closed == PING_TIMEOUT


async def test_no_timer_outlives_its_connection(clock: VirtualClock) -> None:
    async with running(clock=clock) as runtime:
        program, client = await connected(runtime)
        client.connection.lost("transport close")
        entries = list(program.log)
        await clock.advance(1_000.0)
        assert program.log == entries
        assert client.transport.take() == []


# The deadline for a session


async def test_a_socketio_client_has_five_seconds_to_connect(clock: VirtualClock) -> None:
    async with running(clock=clock) as runtime:
        client = engine_client(runtime, Program())
        await clock.advance(4.9)
        assert client.transport.is_open
        await clock.advance(0.1)
        assert client.transport.closed == NOBODY


async def test_a_connected_client_has_all_the_time(clock: VirtualClock) -> None:
    async with running(Settings(ping_interval=1_000), clock) as runtime:
        _, client = await connected(runtime)
        await clock.advance(900.0)
        assert client.transport.is_open


async def test_polling_has_the_same_deadline(clock: VirtualClock) -> None:
    async with running(clock=clock) as runtime:
        connection = polling_client(runtime, Program())
        await clock.advance(4.9)
        assert not connection.closed
        await clock.advance(0.1)
        assert connection.closed


@pytest.mark.parametrize("auth", ['{"token":"bad"}', '{"token":"slow"}'])
async def test_neither_refusals_nor_slow_checks_stretch_it(clock: VirtualClock, auth: str) -> None:
    async with running(clock=clock) as runtime:
        program = Program()
        client = engine_client(runtime, program)
        for _ in range(5):
            if auth == '{"token":"bad"}' or not runtime.connections:
                client.send_nowait(f"40{auth}")
            await clock.advance(0.99)
        client.send_nowait(f"40/ws,{auth}")
        assert client.transport.is_open
        await clock.advance(0.1)
        assert client.transport.closed == NOBODY
        assert program.log == []


async def test_who_leaves_the_last_namespace_has_five_seconds_again(clock: VirtualClock) -> None:
    async with running(clock=clock) as runtime:
        _, client = await connected(runtime)
        await client.send("40/ws", "41")
        await clock.advance(6.0)
        assert client.transport.is_open
        await client.send("41/ws")
        await clock.advance(4.9)
        assert client.transport.is_open
        await client.send("40/ws")
        await clock.advance(10.0)
        assert client.transport.is_open
        await client.send("41/ws")
        await clock.advance(5.0)
        assert client.transport.closed == NOBODY


async def test_so_has_who_is_put_out_by_the_server(clock: VirtualClock) -> None:
    async with running(clock=clock) as runtime:
        program, client = await connected(runtime)
        program.sockets["/"].disconnect()
        await clock.advance(5.0)
        assert client.transport.closed == NOBODY


@pytest.mark.parametrize("token", ["bad", "slow"])
async def test_a_namespace_that_is_still_asked_for_keeps_nobody_connected(
    clock: VirtualClock, token: str
) -> None:
    async with running(clock=clock) as runtime:
        program, client = await connected(runtime)
        client.connection.receive(f'40/ws,{{"token":"{token}"}}')  # asked for, not answered yet
        client.connection.receive("41")
        await clock.advance(4.9)
        assert client.transport.is_open
        await clock.advance(0.1)
        assert client.transport.closed == NOBODY
        assert [entry[0] for entry in program.log] == ["opened", "closed"]


async def test_a_plain_client_has_five_seconds_for_its_token(clock: VirtualClock) -> None:
    async with running(clock=clock) as runtime:
        program = Program()
        client = plain_client(runtime, program)
        await clock.advance(4.9)
        assert client.transport.is_open
        await clock.advance(0.1)
        assert client.transport.closed == (CloseCode.UNAUTHORIZED, "unauthorized")
        assert client.transport.take() == [TOO_LATE]
        assert program.log == []


async def test_a_slow_check_of_a_plain_token_is_not_waited_for(clock: VirtualClock) -> None:
    async with running(clock=clock) as runtime:
        program = Program()
        client = plain_client(runtime, program, "slow")
        await clock.advance(5.0)  # its token is not to blame: it may come again with it
        assert client.transport.closed == (CloseCode.TRY_AGAIN_LATER, "overloaded")
        program.release()
        await settle()
        assert program.log == []


async def test_a_plain_client_with_a_token_has_all_the_time(clock: VirtualClock) -> None:
    async with running(clock=clock) as runtime:
        client = plain_client(runtime, Program(), "t")
        await clock.advance(3_600.0)
        assert client.transport.is_open


# The sleeper below


async def test_timers_are_called_in_order_and_cancelled_ones_never(clock: VirtualClock) -> None:
    async with running(clock=clock) as runtime:
        called: list[str] = []
        now = clock.monotonic()
        timers = runtime.timers
        timers.call_at(now + 3, lambda: called.append("late"))
        timers.call_at(now + 1, lambda: called.append("early"))
        timers.call_at(now + 1, lambda: called.append("early too"))
        timers.call_at(now + 2, lambda: called.append("cancelled")).cancel()
        await settle()
        timers.call_at(now + 0.5, lambda: called.append("earlier than who sleeps"))
        await clock.advance(0.5)
        assert called == ["earlier than who sleeps"]
        await clock.advance(5)
        assert called == ["earlier than who sleeps", "early", "early too", "late"]


def test_a_timer_may_set_timers() -> None:
    clock = VirtualClock(0.0)
    timers = Timers(clock)
    called: list[float] = []

    def again(when: float) -> None:
        called.append(when)
        if when < 3:
            timers.call_at(when + 1, lambda: again(when + 1))

    timers.call_at(1, lambda: again(1))
    assert timers.call_due(2.5) == 3
    assert called == [1, 2]
    assert timers.call_due(10) == float("inf")
    assert called == [1, 2, 3]
