"""Limits of sessions and users: after a reconnect, by tier, and where somebody floods."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from lbproto import (
    Limits,
    Server,
    Tier,
    UsageError,
    Window,
)
from lbproto.sessions.session import Session
from lbproto.testing import VirtualClock
from lbproto.wire import CloseCode
from lbproto.wire.arguments import ObjectArguments
from tests.core.harness import Client, MemorySocket, connected, running
from tests.core.limiting import (
    FEW,
    Tiers,
    at_once,
    clock_of,
    succeeds,
    working,
)

pytestmark = pytest.mark.anyio


# After a reconnect


async def resume(server: Server, client: Client) -> Client:
    session: Session = client.socket.state
    pid, offset = session.pid, server._parts.log.offset(server._parts.log.position)
    client.close("transport close")
    again = Client(server, client.user)
    auth = ObjectArguments([{"token": client.user, "pid": pid, "offset": offset}])
    await server.sessions.authenticate(again.socket, auth)
    await server.sessions.opened(again.socket)
    assert [sent.name for sent in again.take()] == ["connected", "recovered"]
    assert again.socket.state is session
    return again


async def test_whoever_comes_back_may_subscribe_again_to_as_many_rooms() -> None:
    limits = Limits(tiers={"free": Tier(Window(6, 60))}, per_session=Window(1_000, 1))
    async with running(working(), limits=limits) as server:
        client = await connected(server)
        for name in "abc":
            (subscribed,) = await client.ask("subscribe", {"room": f"room:{name}"})
            assert subscribed.name == "subscribed"
        assert not await succeeds(client)
        for _ in range(2):
            client = await resume(server, client)
            for name in "abc":
                answers = await client.ask("subscribe", {"room": f"room:{name}"})
                assert [sent.name for sent in answers] == ["subscribed"]
            (refusal,) = await client.ask("subscribe", {"room": "room:d"})
            assert refusal.name == "rate_limit_error"
            assert not await succeeds(client)
            clock_of(server).jump(1)


async def test_subscribing_again_counts_for_the_session() -> None:
    limits = Limits(default="unlimited", per_session=Window(8, 60))
    async with running(working(), limits=limits) as server:
        client = await connected(server)
        for name in "abc":
            await client.send("subscribe", {"room": f"room:{name}"})
        client.take()
        client = await resume(server, client)
        answers = [
            sent.name
            for name in "abc"
            for sent in await client.ask("subscribe", {"room": f"room:{name}"})
        ]
        assert answers == ["subscribed", "rate_limit_error"]


# Tiers


TWO = {"free": FEW, "pro": Tier(Window(8, 10))}


@pytest.mark.parametrize(
    ("options", "user", "served"),
    [
        ({}, "ada", 2),
        ({}, "ada/free", 2),
        ({}, "ada/pro", 4),
        ({}, "ada/gold", 2),
        ({"default": "pro"}, "ada", 4),
        ({"tier": lambda identity: "pro" if identity.user_id == "eve" else "free"}, "eve", 4),
        ({"tier": lambda identity: Tier(Window(6, 10))}, "ada", 3),
        ({"tier": lambda identity: 1 / 0}, "ada", 2),
    ],
    ids=[
        "the first by default",
        "named by the user",
        "another named by the user",
        "unknown",
        "another by default",
        "chosen by name",
        "chosen",
        "failing",
    ],
)
async def test_which_tier_a_user_has(
    options: dict[str, Any], user: str, served: int, caplog: pytest.LogCaptureFixture
) -> None:
    limits = Limits(tiers=TWO, per_session=None, **options)
    server = Server([working()], auth=Tiers(), limits=limits, clock=VirtualClock())
    async with server.lifespan():
        assert await at_once(await connected(server, user)) == served
    logged = [record.levelno for record in caplog.records if record.levelno >= logging.WARNING]
    is_unknown, fails = user == "ada/gold", "tier" in options and served == 2
    assert logged == [logging.WARNING] * is_unknown + [logging.ERROR] * fails


async def test_the_published_tiers_by_the_claim_of_a_token() -> None:
    server = Server(
        [working()], auth=Tiers(), limits=Limits(per_session=None), clock=VirtualClock()
    )
    async with server.lifespan():
        for user, served in (("ada", 30), ("bob/pro", 150), ("eve/unlimited", 400)):
            assert await at_once(await connected(server, user), most=400) == served


async def test_a_renewed_token_changes_the_tier_and_what_was_used_stays_used() -> None:
    limits = Limits(tiers=TWO, per_session=None)
    server = Server([working()], auth=Tiers(), limits=limits, clock=VirtualClock())
    async with server.lifespan():
        client = await connected(server, "ada")
        assert await at_once(client) == 2
        await client.ask("authenticate", {"token": "ada/pro"})
        assert await at_once(client) == 2
        await client.ask("authenticate", {"token": "ada"})
        assert not await succeeds(client)
        clock_of(server).jump(14)
        assert not await succeeds(client)
        clock_of(server).jump(1)
        assert await succeeds(client)


async def test_two_tokens_of_a_user_do_not_add_up() -> None:
    limits = Limits(tiers=TWO, per_session=None)
    server = Server([working()], auth=Tiers(), limits=limits, clock=VirtualClock())
    async with server.lifespan():
        free, pro = await connected(server, "ada"), await connected(server, "ada/pro")
        served = 0
        for _ in range(10):
            served += await succeeds(free) + await succeeds(pro)
        assert served == 4


def test_a_default_that_is_no_tier() -> None:
    with pytest.raises(UsageError, match="the default tier 'free' does not exist"):
        Limits(tiers={"pro": Tier()})


# Floods


async def flooded(server: Server, client: Client, refusals: int, pause: float) -> MemorySocket:
    await at_once(client)
    for _ in range(refusals - 1):
        clock_of(server).jump(pause)
        await client.send("work")
    return client.socket


FLOODING = (CloseCode.POLICY_VIOLATION, "flooding: too many requests after they were refused")


async def test_whoever_goes_on_and_on_loses_the_transport_and_not_the_session() -> None:
    limits = Limits(tiers={"free": Tier(Window(2, 1_000))}, per_session=None, flood=Window(20, 10))
    async with running(working(), limits=limits) as server:
        client = await connected(server)
        socket = await flooded(server, client, 10, 0)
        assert socket.closed_with == []
        await client.send("work")
        assert socket.closed_with == [FLOODING]
        assert socket.disconnects == 0
        assert not client.socket.state.closed
        again = await resume(server, client)
        await again.send("work")
        assert again.socket.closed_with == [FLOODING]
        clock_of(server).jump(10)
        last = await resume(server, again)
        assert not await succeeds(last)
        assert last.socket.closed_with == []
        statistics = server.statistics()
        assert (statistics.refused, statistics.flooding) == (13, 2)


@pytest.mark.parametrize(("flood", "pause"), [(Window(20, 10), 1.0), (None, 0.0)])
async def test_whoever_is_refused_now_and_then_does_not(flood: Window | None, pause: float) -> None:
    limits = Limits(tiers={"free": Tier(Window(2, 1_000))}, per_session=None, flood=flood)
    async with running(working(), limits=limits) as server:
        socket = await flooded(server, await connected(server), 500, pause)
        assert socket.closed_with == []


async def test_being_served_is_no_flood() -> None:
    limits = Limits(default="unlimited", flood=Window(2, 10))
    async with running(working(), limits=limits) as server:
        client = await connected(server)
        for _ in range(500):
            clock_of(server).jump(0.02)
            assert await succeeds(client)
        assert client.socket.closed_with == []


# Where there is nobody any more


async def test_nothing_is_kept_of_users_who_have_nothing_to_wait_for() -> None:
    limits = Limits(tiers={"free": FEW}, per_session=None)
    async with running(working(), limits=limits) as server:
        throttle = server.sessions._throttle
        assert throttle is not None
        for number in range(2_000):
            client = await connected(server, f"user-{number}")
            assert await succeeds(client)
            client.close()
            clock_of(server).jump(0.1)
        assert len(throttle) <= 101  # as many as have asked within the last five seconds, twice
