"""A request may have its session come into a room, and out of it, as the client could itself."""

from __future__ import annotations

import pytest

from lbproto import Context, ErrorEvent, Event, NotFound, Plugin, Server
from lbproto.messages import (
    Error,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Unsubscribed,
    ValidationError,
)
from lbproto.testing import Client, Serve, connect

pytestmark = pytest.mark.anyio


class Enter(Event):
    table: str


class Leave(Event):
    table: str


class Seated(Event):
    guests: int


class Bell(Event):
    pass


class TableError(ErrorEvent):
    room: str


def tables() -> Plugin:
    plugin = Plugin("tables")
    plugin.emits(Bell)
    guests = 0

    @plugin.room("table:{name}", announce=False, refused=TableError)
    async def join(ctx: Context, name: str) -> Seated:
        nonlocal guests
        if name == "none":
            raise NotFound("There is no such table")
        if name == "next":
            await ctx.join("table:1")
        guests += 1
        return Seated(guests)

    @plugin.on(Enter)
    async def enter(ctx: Context, request: Enter) -> None:
        await ctx.join(f"table:{request.table}")
        if request.table == "broken":
            raise NotFound("The table has no leg")

    @plugin.on(Leave)
    async def leave(ctx: Context, request: Leave) -> None:
        ctx.leave(request.table)

    return plugin


async def hears(client: Client, server: Server) -> bool:
    """Whether the client is at the first table."""
    server.to("table:1").emit(Bell())
    return Bell() in await client.take()


async def test_it_is_told_as_if_it_had_subscribed(serve: Serve) -> None:
    async with serve(tables()) as server, connect(server, "ada") as client:
        entered = await client.request(Enter(table="1"), Subscribed)
        assert entered == Subscribed(room="table:1", subscriber_count=1)
        assert await client.take() == [Seated(1)]
        assert await hears(client, server)
        assert (await client.request(Leave(table="table:1"), Unsubscribed)).room == "table:1"
        assert not await hears(client, server)


async def test_it_subscribes_and_is_taken_out_or_the_other_way_round(serve: Serve) -> None:
    async with serve(tables()) as server, connect(server, "ada") as client:
        await client.request(Subscribe(room="table:1"), Subscribed)
        await client.request(Leave(table="table:1"), Unsubscribed)
        assert not await hears(client, server)
        await client.request(Enter(table="1"), Subscribed)
        await client.request(Unsubscribe(room="table:1"), Unsubscribed)
        assert not await hears(client, server)


async def test_the_owner_refuses_and_the_request_tells_by_its_own_event(serve: Serve) -> None:
    async with serve(tables()) as server, connect(server, "ada") as client:
        refused = await client.request(Enter(table="none"), Error)
        assert (refused.code, refused.event) == ("NOT_FOUND", "enter")
        assert (await client.request(Enter(table="a:b"), Error)).event == "enter"  # no such room
        assert (await client.request(Subscribe(room="table:none"), TableError)).room == "table:none"
        assert (await client.request(Leave(table="user:ada"), ValidationError)).event == "leave"


async def test_what_fails_behind_it_is_told_by_the_request_and_the_session_is_in(
    serve: Serve,
) -> None:
    async with serve(tables()) as server, connect(server, "ada") as client:
        await client.request(Enter(table="broken"), Subscribed)
        assert [type(event) for event in await client.take()] == [Seated, Error]
        assert [each.user_id for each in await server.members("table:broken")] == ["ada"]


async def test_a_room_cannot_be_joined_by_what_decides_on_another(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(tables()) as server, connect(server, "ada") as client:
        refused = await client.request(Subscribe(room="table:next"), TableError)
        assert refused.code == "INTERNAL"
        assert "a room's join function cannot join another" in caplog.text
        assert await server.members("table:1") == []


async def test_a_room_that_was_joined_so_outlives_the_connection(serve: Serve) -> None:
    async with serve(tables()) as server, connect(server, "ada") as client:
        await client.request(Enter(table="1"), Subscribed)
        await client.reconnect()
        assert client.recovered
        assert await hears(client, server)
