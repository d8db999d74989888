"""Metrics: what is exported is what the server says of itself, by names of which there are few."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread

import pytest
from anyio import to_thread

from lbproto import (
    Admission,
    Context,
    Event,
    Limits,
    Plugin,
    Tier,
    Window,
    conflate,
    drop_oldest,
)
from lbproto.ledger.memory import MemoryLedger
from lbproto.telemetry.instruments import OBSERVED
from lbproto.telemetry.metrics import CREDITS, DURATION, REQUESTS
from lbproto.testing import Wire, connect, settle
from lbproto.wire import Refused
from tests.core.harness import connected, running
from tests.core.telling import Points, telling, told

pytestmark = pytest.mark.anyio


class Buy(Event):
    pass


class Bought(Event):
    pass


class Tick(Event):
    number: int


class Price(Event):
    number: int


class Fact(Event):
    number: int


def market(price: int | None = None) -> Plugin:
    plugin = Plugin("market")
    plugin.emits(Tick, overflow=drop_oldest)
    plugin.emits(Price, overflow=conflate(lambda price: "one"))
    plugin.emits(Fact)

    @plugin.on(Buy, price=price)
    async def buy(ctx: Context, request: Buy) -> Bought:
        return Bought()

    @plugin.room("floor", announce=False)
    async def floor(ctx: Context) -> None: ...

    return plugin


def by(points: Points, label: str) -> dict[object, int]:
    return {dict(attributes).get(label): value for attributes, value in points.items()}


async def test_a_server_that_has_done_everything_once_has_every_metric() -> None:
    async with telling(market(price=5), credits=MemoryLedger()) as (server, told):
        await server.credits.grant("ada", 100, "welcome, ada@example.org")
        ada, bob = await connected(server, "ada"), await connected(server, "bob")
        bob.close("transport close")
        await ada.ask("subscribe", {"room": "floor"})
        await ada.ask("buy", {})
        found = told.metrics()
        assert set(found) == {*(each.name for each in OBSERVED), DURATION, REQUESTS, CREDITS}
        assert by(found["lbproto.sessions"], "lbproto.session.state") == {"live": 1, "away": 1}
        assert found["lbproto.rooms"] == {(): 3}  # theirs, and the floor
        assert by(found[CREDITS], "lbproto.credits.direction") == {"given": 100, "spent": 5}
        assert by(found[CREDITS], "rpc.method") == {"_OTHER": 100, "buy": 5}
        for metric in (REQUESTS, DURATION):
            assert by(found[metric], "rpc.method") == {"subscribe": 1, "buy": 1}
        assert found["lbproto.broker.ready"] == {(): 1}


async def test_what_is_dropped_is_told_by_policy() -> None:
    async with telling(market()) as (server, told):
        client = await connected(server, "ada", max_frames=3)
        await client.ask("subscribe", {"room": "floor"})
        before = told.metrics()["lbproto.deliveries"][()]
        assert before == 1  # subscribed
        stats = client.socket.outbox
        for number in range(5):
            server.to("floor").emit(Price(number=number))
        assert stats.statistics().conflated == 4
        client.take()
        for number in range(5):
            server.to("floor").emit(Tick(number=number))
        assert (stats.dropped, stats.dropped_oldest) == (2, 2)
        client.take()
        for number in range(4):
            server.to("floor").emit(Fact(number=number))
        assert (stats.dropped, stats.dropped_oldest) == (6, 2)
        assert told.metrics()["lbproto.deliveries"][()] == before + 5 + 5 + 3


async def test_drops_of_connections_are_those_of_their_outboxes() -> None:
    async with telling(market()) as (server, told), connect(server, "ada") as client:
        (connection,) = server.runtime.connections
        outbox = connection.outbox
        outbox.dropped, outbox.dropped_oldest, outbox.conflated = 7, 3, 5
        drops = by(told.metrics()["lbproto.drops"], "lbproto.overflow.policy")
        assert drops == {"disconnect": 4, "drop_oldest": 3, "conflate": 5}
        assert told.metrics()["lbproto.connections"] == {(): 1}
        client.close()
        await settle()
        drops = by(told.metrics()["lbproto.drops"], "lbproto.overflow.policy")
        assert drops == {"disconnect": 4, "drop_oldest": 3, "conflate": 5}
        assert told.metrics()["lbproto.connections"] == {(): 0}


async def test_refusals_are_told_by_reason() -> None:
    limits = Limits(tiers={"free": Tier(Window(1, 60))}, per_session=None, flood=Window(1, 60))
    async with telling(market(), limits=limits) as (server, told):
        client = await connected(server)
        for _ in range(5):
            await client.ask("subscribe", {"room": "nowhere"})
        found = told.metrics()
        reasons = by(found["lbproto.refusals"], "lbproto.reason")
        assert reasons == {"rate_limited": 4, "unauthorized": 0, "unavailable": 0}
        cut = by(found["lbproto.connections.cut"], "lbproto.reason")
        assert cut == {"slow": 0, "flooding": 3}
        assert by(found[REQUESTS], "rpc.response.status_code") == {"NOT_FOUND": 1}


async def test_durations_can_be_left_out() -> None:
    async with telling(market(), telemetry={"durations": False}) as (server, told):
        client = await connected(server)
        await client.ask("buy", {})
        found = told.metrics()
        assert DURATION not in found
        assert list(found[REQUESTS].values()) == [1]


@pytest.mark.parametrize("wire", ["socketio-json", "plain-json"])
async def test_clients_that_are_not_let_in_are_counted(wire: Wire) -> None:
    async with telling(market()) as (server, told):
        with pytest.raises(Refused):
            async with connect(server, "", wire=wire):
                pass
        reasons = by(told.metrics()["lbproto.refusals"], "lbproto.reason")
        assert reasons == {"rate_limited": 0, "unauthorized": 1, "unavailable": 0}


@pytest.mark.parametrize("wire", ["socketio-json", "plain-json"])
async def test_clients_that_are_sent_away_are_counted(wire: Wire) -> None:
    one = Admission(max_sessions_per_user=1)
    async with telling(market(), admission=one) as (server, told), connect(server, "ada"):
        with pytest.raises(Refused, match="too many sessions"):
            async with connect(server, "ada", wire=wire):
                pass
        reasons = by(told.metrics()["lbproto.refusals"], "lbproto.reason")
        assert reasons == {"rate_limited": 0, "unauthorized": 0, "unavailable": 1}


async def test_recoveries_are_told_by_their_outcome() -> None:
    async with telling(market()) as (server, told), connect(server, "ada") as client:
        client.drop()
        await client.reconnect()
        assert outcomes(told.metrics) == {"recovered": 1, "lost": 0}
        client.drop()
        await settle()
        (session,) = server.sessions.directory.of("ada")
        server.sessions.end(session)
        await client.reconnect()
        assert outcomes(told.metrics) == {"recovered": 1, "lost": 1}


def outcomes(metrics: Callable[[], dict[str, Points]]) -> dict[object, int]:
    return by(metrics()["lbproto.recoveries"], "lbproto.recovery.outcome")


# Who asks


async def test_an_exporter_asks_from_a_thread_of_its_own() -> None:
    async with telling(market()) as (server, told):
        for count in range(3):
            await connected(server, f"user {count}")
            found = await to_thread.run_sync(told.metrics)
            assert by(found["lbproto.sessions"], "lbproto.session.state")["live"] == count + 1


async def test_one_export_asks_the_server_once() -> None:
    async with telling(market()) as (server, told):
        asked = 0
        ask = server.statistics

        def counted() -> object:
            nonlocal asked
            asked += 1
            return ask()

        metrics = told.telemetry.metrics
        assert metrics is not None
        metrics._sources[0]._statistics = counted  # type: ignore[assignment]
        for exports in range(1, 4):
            told.metrics()
            assert asked == exports


async def test_an_exporter_does_not_wait_for_long_for_a_busy_server(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("lbproto.telemetry.metrics._READ_TIMEOUT", 0.01)
    async with telling(market()) as (server, told):
        await connected(server, "ada")
        await to_thread.run_sync(told.metrics)
        await connected(server, "bob")
        found: list[dict[str, Points]] = []
        exporter = Thread(target=lambda: found.append(told.metrics()))
        exporter.start()
        exporter.join()  # in the event loop, which waits
        assert by(found[0]["lbproto.sessions"], "lbproto.session.state")["live"] == 1
        assert "the event loop is busy" in caplog.text
        caplog.clear()


async def test_servers_of_one_process_are_told_together_and_none_when_they_are_gone() -> None:
    where = told()
    async with running(market(), telemetry=where.telemetry) as one:
        await connected(one)
        async with running(market(), telemetry=where.telemetry) as two:
            await connected(two)
            assert where.metrics()["lbproto.rooms"] == {(): 2}
        assert where.metrics()["lbproto.rooms"] == {(): 1}
    assert "lbproto.rooms" not in where.metrics()
