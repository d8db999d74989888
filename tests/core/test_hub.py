"""Delivery on one node: one encoding per wire format, one frame for all, exact receipts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from lbproto import (
    Context,
    Event,
    OverflowPolicy,
    Plugin,
    Receipt,
    Server,
    UsageError,
    conflate,
    drop_oldest,
)
from lbproto.overflow import disconnect
from lbproto.wire import Frame, RequestId, WireFormat
from tests.core.harness import FORMATS, Client, Sent, connected, running

pytestmark = pytest.mark.anyio


class Counting(WireFormat):
    """A real format that counts."""

    def __init__(self, real: WireFormat) -> None:
        self._real = real
        self.encoded = 0
        self.answers_acknowledge = real.answers_acknowledge

    def event(
        self,
        name: str,
        arguments: Sequence[Any],
        *,
        answers: RequestId | None = None,
        asks: int | None = None,
        offset: str | None = None,
    ) -> Frame:
        self.encoded += 1
        return self._real.event(name, arguments, answers=answers, asks=asks, offset=offset)

    def acknowledgement(self, request: RequestId, arguments: Sequence[Any]) -> Frame:
        return self._real.acknowledgement(request, arguments)


class News(Event):
    number: int


class Latest(Event):
    key: str | None
    number: int


class Sample(Event):
    number: int


class Undeclared(Event):
    pass


def newsroom() -> Plugin:
    plugin = Plugin("news")
    plugin.emits(News)
    plugin.emits(Latest, overflow=conflate(by_key))
    plugin.emits(Sample, overflow=drop_oldest)

    @plugin.room("news", announce=False)
    async def news(ctx: Context) -> None: ...

    return plugin


def by_key(latest: Latest) -> str | None:
    return latest.key


async def reader(
    server: Server, format_: WireFormat = FORMATS["plain-json"], max_frames: int = 100
) -> Client:
    client = await connected(server, format_=format_, max_frames=max_frames)
    await client.ask("subscribe", {"room": "news"})
    return client


async def test_a_broadcast_is_encoded_once_for_each_format_in_use() -> None:
    formats = [Counting(format_) for format_ in FORMATS.values()]
    unused = Counting(FORMATS["plain-json"])
    async with running(newsroom()) as server:
        await connected(server, format_=unused)
        clients = [await reader(server, format_) for format_ in formats for _ in range(25)]
        before = [format_.encoded for format_ in (*formats, unused)]
        receipt = server.to("news").emit(News(number=1))
        assert receipt == Receipt(matched=100, queued=100, dropped=0, conflated=0)
        after = [format_.encoded for format_ in (*formats, unused)]
        assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1, 1, 0]
        for client in clients:
            assert client.take() == [Sent("news", {"number": 1})]
        for number in range(len(formats)):
            first, *others = clients[number * 25 : number * 25 + 25]
            assert all(other.socket.frames[-1] is first.socket.frames[-1] for other in others)


async def test_to_nobody() -> None:
    async with running(newsroom()) as server:
        nothing = Receipt(matched=0, queued=0, dropped=0, conflated=0)
        assert server.to("news").emit(News(number=1)) == nothing
        assert server.to_user("nobody").emit(News(number=1)) == nothing


async def test_those_excepted_get_nothing_and_do_not_match() -> None:
    async with running(newsroom()) as server:
        one, two, three = [await reader(server) for _ in range(3)]
        target = server.to("news", except_=[one.sid, "unknown", three.sid])
        assert target.emit(News(number=1)).matched == 1
        assert [len(client.take()) for client in (one, two, three)] == [0, 1, 0]


async def test_who_is_excepted_is_settled_when_the_room_is_named() -> None:
    async with running(newsroom()) as server:
        one, two = await reader(server), await reader(server)
        excepted = [one.sid]
        target = server.to("news", except_=excepted)
        excepted[:] = [two.sid]
        target.emit(News(number=1))
        assert [len(client.take()) for client in (one, two)] == [0, 1]


async def test_a_handler_tells_the_others() -> None:
    plugin = newsroom()

    class Say(Event):
        number: int

    @plugin.on(Say)
    async def say(ctx: Context, request: Say) -> None:
        ctx.to("news", except_=(ctx.session.sid,)).emit(News(number=request.number))

    async with running(plugin) as server:
        one, two = await reader(server), await reader(server)
        assert await one.ask("say", {"number": 7}) == []
        assert two.take() == [Sent("news", {"number": 7})]


async def test_receipts_count_every_outcome() -> None:
    async with running(newsroom()) as server:
        fast = await reader(server)
        full = await reader(server, max_frames=2)
        closed = await reader(server)
        closed.socket.outbox.close()
        target = server.to("news")
        assert target.emit(Latest(key="a", number=1)) == Receipt(3, 2, 1, 0)
        assert target.emit(Latest(key="a", number=2)) == Receipt(3, 2, 1, 2)
        assert target.emit(Latest(key=None, number=3)) == Receipt(3, 2, 1, 0)
        assert target.emit(Sample(number=4)) == Receipt(3, 1, 2, 0)
        assert target.emit(News(number=5)) == Receipt(3, 1, 2, 0)
        assert full.socket.overflows == 1
        assert [sent.data["number"] for sent in fast.take()] == [2, 3, 4, 5]
        assert full.take() == closed.take() == []


@pytest.mark.parametrize("policy", [disconnect, drop_oldest])
async def test_an_overflow_within_a_broadcast_does_not_disturb_it(policy: OverflowPolicy) -> None:
    plugin = Plugin("p")
    plugin.emits(Undeclared, overflow=policy)

    @plugin.room("news")
    async def news(ctx: Context) -> None: ...

    async with running(plugin) as server:
        clients = [await reader(server, max_frames=1 + number % 2) for number in range(20)]
        for client in clients:
            client.take()
        receipts = [server.to("news").emit(Undeclared()) for _ in range(2)]
        assert [receipt.matched for receipt in receipts] == [20, 20]
        if policy is disconnect:
            assert [receipt.queued for receipt in receipts] == [20, 10]
            assert [client.socket.overflows for client in clients] == [1, 0] * 10
        else:
            assert [receipt.queued for receipt in receipts] == [20, 20]
            assert [client.socket.outbox.dropped for client in clients] == [1, 0] * 10
        for client in clients:
            client.close()
        assert server.to("news").emit(Undeclared()).matched == 0


async def test_an_undeclared_event_reaches_nobody() -> None:
    async with running(newsroom()) as server:
        client = await reader(server)
        with pytest.raises(UsageError, match=r"add plugin.emits\(Undeclared\)"):
            server.to("news").emit(Undeclared())
        assert client.take() == []
    async with running(newsroom(), strict=False) as server:
        client = await reader(server)
        assert server.to("news").emit(Undeclared()).queued == 1
        assert client.take() == [Sent("undeclared", {})]
