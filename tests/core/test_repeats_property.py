"""Requests with a `requestId`, in any order of events: served once, and everybody is answered."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproto import Context, Event, NotFound, Overloaded, Plugin
from lbproto.testing import VirtualClock, settle
from tests.core.harness import FORMATS, Client, connected, running

pytestmark = pytest.mark.anyio

LIFETIME = 600.0


class Buy(Event):
    item: str


class Bought(Event):
    number: int


class _Serving:
    """A handler that waits to be told what to do."""

    def __init__(self) -> None:
        self.told = anyio.Event()
        self.how = "success"


class Shop:
    """Serves, and complains when it serves what it should not."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.served = 0
        self.serving: dict[str, _Serving] = {}
        self.remembered: dict[str, float] = {}  # until when
        self.complaints: list[str] = []

    def plugin(self) -> Plugin:
        plugin = Plugin("shop")

        @plugin.on(Buy)
        async def buy(ctx: Context, request: Buy) -> Bought:
            await self._serve(request.item)
            return Bought(number=self.served)

        return plugin

    def remembers(self, item: str) -> bool:
        return self.remembered.get(item, 0.0) > self.clock.monotonic()

    async def _serve(self, item: str) -> None:
        if item in self.serving:
            self.complaints.append(f"{item} is served twice at once")
        if self.remembers(item):
            self.complaints.append(f"{item} is served again")
        self.served += 1
        serving = self.serving[item] = _Serving()
        try:
            await serving.told.wait()
        finally:
            del self.serving[item]
        if serving.how == "retryable":
            raise Overloaded("later")
        if serving.how == "crash":
            raise ValueError("a bug")
        self.remembered[item] = self.clock.monotonic() + LIFETIME
        if serving.how == "final":
            raise NotFound("none")


ITEMS = st.sampled_from(["hat", "hat", "coat"])
ENDS = st.sampled_from(["success", "success", "final", "retryable", "crash"])
STEPS = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(range(3)), ITEMS),
    st.tuples(st.just("end"), ENDS, ITEMS),
    st.tuples(st.just("cut off"), st.none(), ITEMS),
    st.tuples(st.just("pass"), st.sampled_from([1.0, LIFETIME / 2, LIFETIME]), st.none()),
)


@settings(max_examples=50, deadline=None)  # on each loop
@given(steps=st.lists(STEPS, max_size=25))
async def test_any_order(steps: list[tuple[str, Any, Any]]) -> None:
    clock = VirtualClock()
    shop = Shop(clock)
    async with running(shop.plugin(), clock=clock) as server, anyio.create_task_group() as tasks:
        formats = [FORMATS[name] for name in ("socketio-json", "socketio-msgpack", "plain-json")]
        clients = [await connected(server, format_=format_) for format_ in formats]
        asked: list[list[int]] = [[], [], []]
        first: dict[str, anyio.CancelScope] = {}  # of the request that is being served

        async def ask(client: Client, item: str, number: int) -> None:
            with anyio.CancelScope() as scope:
                if item not in shop.serving:
                    first[item] = scope
                await client.send("buy", {"item": item, "requestId": item}, ack=number)
            if scope.cancelled_caught:  # its connection is gone: nobody waits
                asked[clients.index(client)].remove(number)

        for number, (what, how, item) in enumerate(steps):
            match what:
                case "ask":
                    asked[how].append(number)
                    is_known = item in shop.serving or shop.remembers(item)
                    before = shop.served
                    tasks.start_soon(ask, clients[how], item, number)
                    await settle()
                    assert shop.served == before + (not is_known)
                case "end" if item in shop.serving:
                    shop.serving[item].how = how
                    shop.serving[item].told.set()
                case "cut off" if item in shop.serving:
                    first[item].cancel()
                case "pass":
                    clock.jump(how)
            await settle()
        while shop.serving:
            for serving in shop.serving.values():
                serving.told.set()
            await settle()
        assert shop.complaints == []
        for client, numbers in zip(clients, asked, strict=True):
            answered = [sent.re for sent in client.take() if _settles(client, sent.name)]
            assert sorted(map(str, answered)) == sorted(map(str, numbers))


def _settles(client: Client, name: str) -> bool:
    """On plain WebSocket an answer is the acknowledgement."""
    return name != "connected" if client.socket.format.answers_acknowledge else name == "ack"
