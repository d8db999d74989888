"""Limits at work: what is counted, and what a client that asks too much is told."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from lbproto import (
    Context,
    Limits,
    Plugin,
    Server,
    Tier,
    UsageError,
    Window,
)
from lbproto.testing import START
from lbproto.wire import Inbound, WireFormat
from lbproto.wire.arguments import JSONArguments
from tests.core.harness import FORMATS, Client, Sent, connected, running
from tests.core.limiting import (
    FEW,
    Work,
    at_once,
    clock_of,
    few,
    succeeds,
    working,
)

pytestmark = pytest.mark.anyio

formats = pytest.mark.parametrize("format_", FORMATS.values(), ids=FORMATS)


# What a client is told


@formats
async def test_what_is_too_much_is_refused_in_the_envelope(format_: WireFormat) -> None:
    async with running(working(), limits=few()) as server:
        client = await connected(server, format_=format_)
        for _ in range(2):
            assert (await client.ask("work", {"size": 3}))[0] == Sent("worked", {"size": 3})
        envelope = {
            "code": "RATE_LIMITED",
            "message": "Too many requests: at most 4 in 10 s, 2 of them at once",
            "retryAfter": 5,
        }
        answers = await client.ask("work", {"size": 3}, ack=7)
        event = Sent("rate_limit_error", {**envelope, "event": "work"})
        if format_.answers_acknowledge:
            assert answers == [event._replace(re=7)]
        else:
            assert answers == [event, Sent("ack", {"ok": False, "error": envelope}, 7)]


@formats
async def test_the_event_comes_once_a_second_and_the_acknowledgement_always(
    format_: WireFormat,
) -> None:
    async with running(working(), limits=few()) as server:
        client = await connected(server, format_=format_)
        clock = clock_of(server)
        await at_once(client)
        told = 1
        for number in range(2, 30):
            clock.jump(0.1)
            answers = await client.ask("work", ack=number)
            told += [answer.name for answer in answers].count("rate_limit_error")
            settled = [answer for answer in answers if answer.re == number]
            assert len(settled) == 1
            error = settled[0].data if settled[0].name != "ack" else settled[0].data["error"]
            assert (error["code"], error["retryAfter"]) == ("RATE_LIMITED", -(-(51 - number) // 10))
        assert told == 3
        assert await client.ask("work") == []  # who waits for nothing is told nothing


async def test_each_event_has_its_own_second_and_unknown_ones_share_one() -> None:
    async with running(working(), limits=few()) as server:
        client = await connected(server)
        await at_once(client)
        names = ("heavy", "work", "subscribe", "heavy", "nothing", "nowhere", "")
        told = [answer.data["event"] for name in names for answer in await client.ask(name)]
        assert told == ["heavy", "subscribe", "nothing"]
        session = client.socket.state
        for number in range(1_000):
            await client.send(f"unknown-{number}")
        assert len(session.quota.told) == 4


async def test_a_long_name_is_not_repeated_whole() -> None:
    async with running(working(), limits=few()) as server:
        client = await connected(server)
        await at_once(client)
        (event,) = await client.ask("x" * 5_000)
        assert event.data["event"] == "x" * 128


# How long


async def check_waits(server: Server, client: Client, event: str, seconds: float) -> None:
    """Ask as fast as one may, until the window of this length has been the one that refuses."""
    clock, seen = clock_of(server), 0
    while seen < 3:
        *_, ack = await client.ask(event, ack=1)
        if ack.data["ok"]:
            continue
        clock.jump(ack.data["error"]["retryAfter"] - 1)
        assert not await succeeds(client, event)
        clock.jump(1)
        assert await succeeds(client, event)
        seen += f"in {seconds} s," in ack.data["error"]["message"]


@pytest.mark.parametrize("tier", ["free", "pro"])
@pytest.mark.parametrize(
    ("event", "seconds"), [("work", 60), ("bulk", 60), ("bulk", 3_600), ("bulk", 86_400)]
)
async def test_who_waits_is_served_and_who_comes_a_second_early_is_not(
    tier: str, event: str, seconds: int
) -> None:
    limits = Limits(default=tier, per_session=None, flood=None)
    async with running(working(), limits=limits, recovery=None) as server:
        await check_waits(server, await connected(server), event, seconds)


async def test_who_waits_is_served_by_the_session_too() -> None:
    limits = Limits(default="unlimited", per_session=Window(3, 2), flood=None)
    async with running(working(), limits=limits) as server:
        client = await connected(server)
        await check_waits(server, client, "work", 2)


async def test_of_two_windows_that_refuse_the_longer_wait_is_told() -> None:
    limits = few(per_session=Window(2, 1))
    async with running(working(), limits=limits) as server:
        client = await connected(server)
        assert await succeeds(client)
        clock_of(server).jump(1)
        assert await succeeds(client)
        (event,) = await client.ask("work")
        assert event.data["retryAfter"] == 4


@pytest.mark.parametrize("step", [-3_600, 3_600])
async def test_a_wall_clock_that_steps_is_no_matter(step: float) -> None:
    async with running(working(), limits=few()) as server:
        client, clock = await connected(server), clock_of(server)
        assert await at_once(client) == 2
        clock.set_wall(START + step)
        assert await at_once(client) == 0
        clock.jump(4)
        assert not await succeeds(client)
        clock.jump(1)
        assert await succeeds(client)


async def test_a_clock_that_steps_back_keeps_nobody_out_and_lets_nothing_more_in() -> None:
    async with running(working(), limits=few()) as server:
        client, clock = await connected(server), clock_of(server)
        assert await at_once(client) == 2
        for _ in range(3):
            clock.jump(-500)
            assert not await succeeds(client)
            clock.jump(4)
            assert not await succeeds(client)
            clock.jump(1)
            assert await at_once(client) == 1


async def test_a_clock_that_steps_forward_gives_no_more_than_is_full() -> None:
    async with running(working(), limits=few()) as server:
        client, clock = await connected(server), clock_of(server)
        await at_once(client)
        clock.jump(1e6)
        assert await at_once(client) == 2
        clock.jump(-1e6)
        assert not await succeeds(client)
        clock.jump(5)
        assert await at_once(client) == 1


# What is counted


async def test_a_request_is_counted_before_its_payload_is_looked_at() -> None:
    async with running(working(), limits=few()) as server:
        client = await connected(server)
        names = []
        for _ in range(3):
            malformed = JSONArguments([Raw(b'{"size": "\xff')])
            await server.sessions.event(client.socket, Inbound("work", malformed, None))
            names += [sent.name for sent in client.take()]
        assert names == ["validation_error", "validation_error", "rate_limit_error"]


async def test_events_that_nobody_answers_count() -> None:
    async with running(working(), limits=few()) as server:
        client = await connected(server)
        names = [sent.name for _ in range(3) for sent in await client.ask("nothing")]
        assert names == ["validation_error", "validation_error", "rate_limit_error"]
        assert not await succeeds(client)


async def test_what_a_request_weighs() -> None:
    async with running(working(), limits=few()) as server:
        client, clock = await connected(server), clock_of(server)
        assert await at_once(client, "heavy") == 1
        assert not await succeeds(client)
        clock.jump(5)
        (event,) = await client.ask("heavy")
        assert event.data["retryAfter"] == 5
        assert await succeeds(client)
        clock.jump(10)
        assert await at_once(client, "heavy") == 1


async def test_what_weighs_too_much_for_any_wait_is_told_so() -> None:
    limits = Limits(tiers={"free": Tier(Window(2, 60)), "pro": FEW}, per_session=None)
    async with running(working(), limits=limits) as server:
        client = await connected(server)
        event, ack = await client.ask("heavy", ack=1)
        error = ack.data["error"]
        assert error["code"] == "LIMIT_EXCEEDED"
        assert "retryAfter" not in error
        assert event == Sent("error", {**error, "event": "heavy"})
        assert await succeeds(client)  # it was not counted


@pytest.mark.parametrize("weight", [0, -1, 1.5, True, "2"])
def test_a_weight_that_makes_no_sense(weight: Any) -> None:
    plugin = Plugin("p")
    with pytest.raises(UsageError, match="weighs a whole number"):

        @plugin.on(Work, weight=weight)
        async def work(ctx: Context, request: Work) -> None: ...


async def test_what_has_only_the_sessions_window() -> None:
    limits = few(per_session=Window(100, 1_000))
    async with running(working(), limits=limits) as server:
        client = await connected(server)
        assert await at_once(client) == 2
        requests: list[tuple[str, dict[str, str]]] = [
            ("ping", {}),
            ("unsubscribe", {"room": "room:a"}),
            ("authenticate", {"token": "ada"}),
            ("own", {}),
        ]
        for number in range(12):  # those that were refused have not counted
            event, data = requests[number % 4]
            *_, ack = await client.ask(event, data, ack=1)
            assert ack.data["ok"], event
        assert await at_once(client, "ping") == 50 - 2 - 12
        assert not await succeeds(client, "own")


async def test_the_sessions_of_a_user_share_and_those_of_others_do_not() -> None:
    async with running(working(), limits=few()) as server:
        first, second = await connected(server), await connected(server)
        other = await connected(server, "bob")
        assert await succeeds(first)
        assert await at_once(second) == 1
        assert not await succeeds(first)
        assert await at_once(other) == 2


async def test_each_session_has_its_own_window() -> None:
    limits = Limits(default="unlimited", per_session=Window(4, 10))
    async with running(working(), limits=limits) as server:
        first, second = await connected(server), await connected(server)
        assert await at_once(first) == 2
        assert await at_once(second) == 2


async def test_a_user_who_comes_back_in_a_new_session_does_not_begin_anew() -> None:
    async with running(working(), limits=few()) as server:
        client = await connected(server)
        assert await at_once(client) == 2
        client.close()
        assert await at_once(await connected(server)) == 0


async def test_what_the_user_is_refused_is_not_counted_by_the_session() -> None:
    limits = few(per_session=Window(10, 1_000))
    async with running(working(), limits=limits) as server:
        client = await connected(server)
        assert await at_once(client) == 2
        for _ in range(20):
            assert not await succeeds(client)
        assert await at_once(client, "ping") == 3


async def test_without_limits_nothing_is_counted() -> None:
    async with running(working()) as server:
        client = await connected(server)
        assert await at_once(client, most=500) == 500
        assert client.socket.state.quota is None
