"""From an event's name to its handler: payloads, and the contract's answers to bad ones."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw

from lbproto import Context, Event, Model, Plugin
from lbproto.wire import Inbound, WireFormat
from lbproto.wire.arguments import JSONArguments, ObjectArguments
from tests.core.harness import FORMATS, Client, Sent, connected, running

pytestmark = pytest.mark.anyio

formats = pytest.mark.parametrize("format_", FORMATS.values(), ids=FORMATS)


class Leg(Model):
    amount_usd: float


class Trade(Event):
    symbol: str
    legs: tuple[Leg, ...] = ()
    note: str = "none"


class Options(Event):
    depth: int = 5


class Traded(Event):
    symbol: str
    total_usd: float
    note: str


class Depth(Event):
    depth: int


class Tree(Event):
    children: tuple[Any, ...] = ()


def trading() -> Plugin:
    plugin = Plugin("trading")

    @plugin.on(Trade)
    async def trade(ctx: Context, request: Trade) -> Traded:
        total = sum(leg.amount_usd for leg in request.legs)
        return Traded(symbol=request.symbol, total_usd=total, note=request.note)

    @plugin.on(Options)
    async def options(ctx: Context, request: Options) -> Depth:
        return Depth(depth=request.depth)

    @plugin.on(Tree)
    async def tree(ctx: Context, request: Tree) -> Depth:
        return Depth(depth=0)

    return plugin


@formats
async def test_a_request_is_decoded_handled_and_answered(format_: WireFormat) -> None:
    async with running(trading()) as server:
        client = await connected(server, format_=format_)
        payload = {"symbol": "X", "legs": [{"amountUSD": 1.5}, {"amountUSD": 2}], "later": {}}
        answers = await client.ask("trade", payload)
        assert answers == [Sent("traded", {"symbol": "X", "totalUSD": 3.5, "note": "none"})]


@formats
@pytest.mark.parametrize("arguments", [[], [None], [{}]], ids=repr)
async def test_no_argument_null_and_an_empty_object_are_the_same(
    format_: WireFormat, arguments: list[Any]
) -> None:
    async with running(trading()) as server:
        client = await connected(server, format_=format_)
        assert await client.ask("options", *arguments) == [Sent("depth", {"depth": 5})]
        (refusal,) = await client.ask("trade", *arguments)
        assert (refusal.name, refusal.data["event"]) == ("validation_error", "trade")


@formats
async def test_extra_arguments_are_ignored(format_: WireFormat) -> None:
    async with running(trading()) as server:
        client = await connected(server, format_=format_)
        answers = await client.ask("options", {"depth": 2}, "more", None, {"depth": 9})
        assert answers == [Sent("depth", {"depth": 2})]


async def test_arguments_that_came_with_attachments_are_decoded_too() -> None:
    async with running(trading()) as server:
        client = await connected(server)
        for values, depth in (([{"depth": 3}], 3), ([None], 5), ([], 5)):
            await server.sessions.event(
                client.socket, Inbound("options", ObjectArguments(values), None)
            )
            assert client.take() == [Sent("depth", {"depth": depth})]


@formats
@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"symbol": 5}, "Expected `str`, got `int` - at `$.symbol`"),
        ({"legs": []}, "Object missing required field `symbol`"),
        ({"symbol": "X", "legs": [{"amountUSD": "1"}]}, "at `$.legs[0].amountUSD`"),
        ({"symbol": "X", "legs": [{}]}, "Object missing required field `amountUSD` - at `$.legs"),
        (["X"], "Expected `object`, got `array`"),
        ("X", "Expected `object`, got `str`"),
        (7, "Expected `object`, got `int`"),
    ],
    ids=repr,
)
async def test_a_wrong_payload_is_refused_with_the_path(
    format_: WireFormat, payload: Any, path: str
) -> None:
    async with running(trading()) as server:
        client = await connected(server, format_=format_)
        (refusal,) = await client.ask("trade", payload)
        assert refusal.name == "validation_error"
        assert set(refusal.data) == {"code", "message", "event"}
        assert (refusal.data["code"], refusal.data["event"]) == ("INVALID_REQUEST", "trade")
        assert path in refusal.data["message"]


@pytest.mark.parametrize(
    "raw",
    [b'{"symbol":"\xff"}', b'{"symbol":"\\ud800"}', b'{"symbol":', b'{"symbol":NaN}'],
    ids=repr,
)
async def test_malformed_json_is_refused(raw: bytes) -> None:
    async with running(trading()) as server:
        client = await connected(server)
        await server.sessions.event(
            client.socket, Inbound("trade", JSONArguments([Raw(raw)]), None)
        )
        (refusal,) = client.take()
        assert (refusal.name, refusal.data["code"]) == ("validation_error", "INVALID_REQUEST")


async def test_deep_json_is_refused_and_the_next_request_is_served() -> None:
    async with running(trading()) as server:
        client = await connected(server)
        depth = 200_000
        deep = b'{"children":' + b"[" * depth + b"]" * depth + b"}"
        await server.sessions.event(client.socket, Inbound("tree", JSONArguments([Raw(deep)]), 1))
        refusal, ack = client.take()
        assert refusal == Sent(
            "validation_error",
            {
                "code": "INVALID_REQUEST",
                "message": "The payload is nested too deeply",
                "event": "tree",
            },
        )
        assert ack.data["error"]["message"] == "The payload is nested too deeply"
        assert await client.ask("options") == [Sent("depth", {"depth": 5})]


@formats
@pytest.mark.parametrize("name", ["nothing", "", "connected", "Trade", "x" * 1_000, "a'\n"])
async def test_an_event_nobody_answers_is_refused(format_: WireFormat, name: str) -> None:
    async with running(trading()) as server:
        client = await connected(server, format_=format_)
        (refusal,) = await client.ask(name, {"symbol": "X"})
        assert refusal == Sent(
            "validation_error",
            {
                "code": "INVALID_REQUEST",
                "message": f"There is no event {name[:128]!r}",
                **({"event": name[:128]} if name else {}),
            },
        )


async def test_the_payload_of_an_event_nobody_answers_is_not_looked_at() -> None:
    async with running() as server:
        client = await connected(server)
        await server.sessions.event(
            client.socket, Inbound("no", JSONArguments([Raw(b"{{{")]), None)
        )
        (refusal,) = client.take()
        assert refusal.data["message"] == "There is no event 'no'"


async def test_what_the_handler_is_given() -> None:
    seen: list[tuple[Any, ...]] = []
    plugin = Plugin("seer")

    @plugin.on(Options)
    async def options(ctx: Context, request: Options) -> None:
        seen.append((ctx.user_id, ctx.session.sid, ctx.inbound.name, request, ctx.request))
        await ctx.storage.put("seer:x", b"1")
        seen.append((ctx.clock, ctx.storage))

    async with running(plugin) as server:
        client = await connected(server, "bob")
        assert await client.ask("options", {"depth": 1}) == []
        request = Options(depth=1)
        assert seen == [
            ("bob", client.sid, "options", request, request),
            (server.clock, server.storage),
        ]
        assert await server.storage.get("seer:x") == b"1"


async def test_requests_of_different_clients_do_not_mix() -> None:
    plugin = Plugin("whoami")

    @plugin.on(Options)
    async def options(ctx: Context, request: Options) -> Traded:
        return Traded(symbol=ctx.user_id, total_usd=request.depth, note=ctx.session.sid)

    async with running(plugin) as server:
        clients: list[Client] = [await connected(server, user) for user in ("ada", "bob", "ada")]
        for depth, client in enumerate(clients):
            await client.send("options", {"depth": depth})
        for depth, client in enumerate(clients):
            data = {"symbol": client.user, "totalUSD": float(depth), "note": client.sid}
            assert client.take() == [Sent("traded", data)]
