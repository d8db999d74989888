"""Handlers that hang: refused when their time is up, and told of in the log."""

from __future__ import annotations

from math import inf
from typing import Any

import anyio
import pytest

from lbproto import Context, ErrorCode, ErrorEvent, Event, Identity, Plugin, UsageError
from lbproto.ledger.memory import MemoryLedger
from lbproto.messages import Error, Ping, Pong, Subscribe
from lbproto.testing import AnyToken, Serve, VirtualClock, Wire, connect
from lbproto.wire import Peer, Settings
from tests.core.harness import make_server

pytestmark = pytest.mark.anyio


class Wait(Event):
    seconds: float = 1_000


class Waited(Event):
    pass


class WaitFailed(ErrorEvent):
    seconds: float


class Waits:
    """A plugin whose handlers wait, and what became of them."""

    def __init__(self, clock: VirtualClock, **options: Any) -> None:
        self.ended: list[str] = []
        self.plugin = Plugin("waits")
        self.plugin.emits(Waited)

        @self.plugin.on(Wait, **options)
        async def wait(ctx: Context, request: Wait) -> Waited:
            try:
                await clock.sleep(request.seconds)
            except anyio.get_cancelled_exc_class():
                self.ended.append("cut off")
                raise
            self.ended.append("done")
            return Waited()


async def test_a_handler_whose_time_is_up_is_refused(serve: Serve, clock: VirtualClock) -> None:
    waits = Waits(clock, timeout=5, refused=WaitFailed)
    async with serve(waits.plugin) as server, connect(server, "ada") as client:
        assert await client.request(Wait(4.9), Waited, timeout=5) == Waited()
        refused = await client.request(Wait(), WaitFailed, timeout=5.1)
        assert (refused.code, refused.seconds) == (ErrorCode.TIMEOUT, 1_000)
        assert refused.message == "This has taken longer than 5 s"
        assert waits.ended == ["done", "cut off"]
        assert isinstance(await client.request(Ping()), Pong)


async def test_what_comes_behind_it_waits_no_longer_than_that(
    serve: Serve, clock: VirtualClock
) -> None:
    waits = Waits(clock, timeout=5)
    async with serve(waits.plugin) as server, connect(server, "ada") as client:
        client.emit(Wait())
        client.emit(Ping())
        await clock.advance(4.9)
        assert await client.take() == []
        await clock.advance(0.2)
        assert [type(event) for event in await client.take()] == [Error, Pong]


async def test_the_servers_own_limit_is_for_those_that_have_none(
    serve: Serve, clock: VirtualClock
) -> None:
    class Endless(Event):
        pass

    class Brief(Event):
        pass

    plugin = Waits(clock).plugin

    @plugin.on(Endless, timeout=inf)
    async def endless(ctx: Context, request: Endless) -> Waited:
        await clock.sleep(100)
        return Waited()

    @plugin.on(Brief, timeout=0.5)
    async def brief(ctx: Context, request: Brief) -> None:
        await anyio.sleep_forever()

    @plugin.room("hung")
    async def hung(ctx: Context) -> None:
        await anyio.sleep_forever()

    async with serve(plugin, request_timeout=5) as server, connect(server, "ada") as client:
        late = "This has taken longer than"
        assert (await client.request(Wait(), Error, timeout=5.1)).message == f"{late} 5 s"
        assert (await client.request(Brief(), Error, timeout=0.6)).message == f"{late} 0.5 s"
        refused = await client.request(Subscribe(room="hung"), Error, timeout=5.1)
        assert refused.code is ErrorCode.TIMEOUT
        assert server.rooms(next(iter(server.sessions.directory))) == ["user:ada"]
        assert await client.request(Endless(), timeout=101) == Waited()


async def test_what_was_set_aside_for_it_is_given_back(serve: Serve, clock: VirtualClock) -> None:
    waits = Waits(clock, timeout=5, price=3)
    async with serve(waits.plugin, credits=MemoryLedger()) as server:
        await server.credits.grant("ada", 10, "gift")
        async with connect(server, "ada") as client:
            client.emit(Wait())
            await clock.advance(1)
            assert (await server.credits.balance("ada")).available == 7
            await clock.advance(5)
            assert (await server.credits.balance("ada")).available == 10


async def test_a_repeat_is_refused_with_it_and_served_anew_after_it(
    serve: Serve, clock: VirtualClock
) -> None:
    waits = Waits(clock, timeout=5)
    request = {"event": "wait", "data": {"requestId": "a"}}
    async with serve(waits.plugin) as server, connect(server, "ada") as client:
        async with connect(server, "ada") as other:
            client.emit(request)
            refused = await other.request(request, Error, timeout=5.1)
            assert refused == await client.expect(Error, code=ErrorCode.TIMEOUT)
            assert waits.ended == ["cut off"]
        await client.request(request, Error, timeout=5.1)
        assert waits.ended == ["cut off"] * 2


async def test_one_that_ends_although_its_time_is_up_has_answered(
    serve: Serve, clock: VirtualClock
) -> None:
    plugin = Plugin("stubborn")

    @plugin.on(Wait, timeout=5)
    async def wait(ctx: Context, request: Wait) -> Waited:
        with anyio.CancelScope(shield=True):
            await clock.sleep(6)
        return Waited()

    async with serve(plugin) as server, connect(server, "ada") as client:
        assert await client.request(Wait(), timeout=7) == Waited()


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "5", True])
def test_a_timeout_is_some_seconds(timeout: Any) -> None:
    with pytest.raises(UsageError, match=r"^timeout is a number above 0, not"):
        Waits(VirtualClock(), timeout=timeout)
    with pytest.raises(UsageError, match=r"^request_timeout is a number above 0, not"):
        make_server(request_timeout=timeout)


# In the log


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What lbproto logged; asyncio may tell of what takes long on a busy machine."""
    ours = "lbproto.connection.waits"
    return [record.getMessage() for record in caplog.records if record.name == ours]


async def test_the_log_names_what_takes_unusually_long(
    serve: Serve, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    hint = "and its client's next requests wait: give it a timeout, or make it a job"
    async with serve(Waits(clock).plugin) as server, connect(server, "ada") as client:
        client.emit(Wait(9))
        client.emit(Wait(60))  # begins when that one has ended
        await clock.advance(5)
        async with connect(server, "bob") as other:
            other.emit(Wait(12))
            await clock.advance(9.9)
            assert told(caplog) == []
            await clock.advance(0.2)
            assert told(caplog) == [f"the request 'wait' has taken 10 s so far, {hint}"]
            await clock.advance(3.8)
            assert len(told(caplog)) == 1
            await clock.advance(0.2)
            assert len(told(caplog)) == 2
            other.emit(Wait(9))
            await clock.advance(40)
            assert len(told(caplog)) == 2


@pytest.mark.parametrize("wire", ["socketio-json", "plain-json"])
async def test_it_names_whoever_lets_a_client_in(
    clock: VirtualClock, serve: Serve, caplog: pytest.LogCaptureFixture, wire: Wire
) -> None:
    class Slow(AnyToken):
        async def authenticate(self, token: str, peer: Peer) -> Identity:
            await clock.sleep(12)
            return await super().authenticate(token, peer)

    settings = Settings(connect_timeout=20)
    async with serve(auth=Slow(), settings=settings) as server, connect(server, "ada", wire=wire):
        pass
    assert [each.split(" so far")[0] for each in told(caplog)] == [
        "the connecting of a client has taken 10 s"
    ]
