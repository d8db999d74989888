"""Rooms that each new session joins by itself, before its client has said a word."""

from __future__ import annotations

import pytest

from lbproto import Context, Event, Plugin, Unauthorized, UsageError
from lbproto.messages import Error, Recovered, Subscribed, Unsubscribe, Unsubscribed
from lbproto.testing import Serve, connect

pytestmark = pytest.mark.anyio


class Welcome(Event):
    user_id: str


class News(Event):
    pass


def lobby(comings: list[tuple[str, bool]]) -> Plugin:
    plugin = Plugin("lobby")
    plugin.emits(News)

    @plugin.room("everyone", announce=False, automatic=True)
    async def everyone(ctx: Context) -> Welcome:
        if ctx.user_id == "mallory":
            raise Unauthorized("Not you")
        return Welcome(ctx.user_id)

    def occupancy(occupied: bool, user_id: str) -> None:
        comings.append((user_id, occupied))

    @plugin.room("here:{user_id*}", announce=False, automatic=True, occupancy=occupancy)
    async def here(ctx: Context, user_id: str) -> None:
        """One that is known by whom it is about."""

    return plugin


async def test_a_new_session_is_in_and_has_the_first_message(serve: Serve) -> None:
    async with serve(lobby([])) as server, connect(server, "ada") as client:
        assert [type(event) for event in await client.take()] == [Subscribed, Welcome, Subscribed]
        server.to("everyone").emit(News())
        assert await client.take() == [News()]
        await client.request(Unsubscribe(room="everyone"), Unsubscribed)
        server.to("everyone").emit(News())
        assert await client.take() == []


async def test_one_that_comes_back_is_in_it_still_and_not_welcomed_again(serve: Serve) -> None:
    async with serve(lobby([])) as server, connect(server, "ada") as client:
        await client.take()
        await client.reconnect()
        assert [type(event) for event in await client.take()] == [Recovered]
        server.to("everyone").emit(News())
        assert await client.take() == [News()]


async def test_who_is_refused_is_told_and_connected_all_the_same(serve: Serve) -> None:
    async with serve(lobby([])) as server, connect(server, "mallory") as client:
        refused = await client.expect(Error, event="subscribe")
        assert refused.message == "Not you"
        assert [each.user_id for each in await server.members("here:mallory")] == ["mallory"]


async def test_the_server_knows_who_is_there(serve: Serve) -> None:
    comings: list[tuple[str, bool]] = []
    async with serve(lobby(comings)) as server:
        async with connect(server, "a:b"), connect(server, "a:b"):
            assert comings == [("a:b", True)]
        assert comings == [("a:b", True), ("a:b", False)]


@pytest.mark.parametrize("user", ["google:12", "x" * 128, "a\nb"], ids=["colon", "long", "newline"])
async def test_whoever_comes_has_a_room_whatever_they_are_called(serve: Serve, user: str) -> None:
    async with serve(lobby([])) as server, connect(server, user) as client:
        told = await client.take()
        assert [type(event) for event in told] == [Subscribed, Welcome, Subscribed]
        server.to(f"here:{user}").emit(News())
        assert await client.take() == [News()]


def test_nothing_but_the_user_is_known() -> None:
    async def join(ctx: Context, name: str) -> None:
        """Whoever likes."""

    with pytest.raises(UsageError, match=r"rooms 'tea:\{name\*\}' cannot be automatic"):
        Plugin("tea").room("tea:{name*}", automatic=True)(join)


def test_ids_with_a_colon_are_thought_of() -> None:
    async def join(ctx: Context, user_id: str) -> None:
        """Whoever likes."""

    with pytest.raises(UsageError, match=r"rooms 'tea:\{user_id\}' .*: write \{user_id\*\}$"):
        Plugin("tea").room("tea:{user_id}", automatic=True)(join)
