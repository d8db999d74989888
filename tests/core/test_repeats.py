"""Requests that carry a `requestId`: served once, and every repeat is answered like the first."""

from __future__ import annotations

import gc
from weakref import ref

import anyio
import pytest

from lbproto import (
    Context,
    ErrorCode,
    Internal,
    NotFound,
    Overloaded,
    Plugin,
    RequestError,
)
from lbproto.testing import VirtualClock, settle
from lbproto.wire import Inbound
from lbproto.wire.arguments import ObjectArguments
from tests.core.harness import FORMATS, Sent, connected, running
from tests.core.shopping import (
    LIFETIME,
    BuyError,
    Shop,
    Sum,
    Upload,
    bought,
    buy,
    outcomes_of,
    sums,
    two_asking,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.mark.parametrize("first", FORMATS)
@pytest.mark.parametrize("second", FORMATS)
async def test_a_repeat_is_answered_like_the_first(shop: Shop, first: str, second: str) -> None:
    async with running(shop.plugin()) as server:
        one = await connected(server, format_=FORMATS[first])
        other = await connected(server, format_=FORMATS[second])
        assert await buy(one) == bought(1)
        assert await buy(one) == bought(1)
        assert await buy(other) == bought(1)
        assert shop.served == 1


async def test_a_request_that_came_with_attachments(shop: Shop) -> None:
    async with running(shop.plugin()) as server:
        client = await connected(server)
        for _ in range(2):
            arguments = ObjectArguments([{"item": "hat", "requestId": "r1"}])
            await server.sessions.event(client.socket, Inbound("buy", arguments, None))
            assert client.take() == bought(1)


async def test_the_acknowledgement_is_the_same_too(shop: Shop) -> None:
    async with running(shop.plugin()) as server:
        client = await connected(server)
        payload = {"item": "hat", "requestId": "r1"}
        first = await client.ask("buy", payload, ack=1)
        assert first[-2] == Sent("ack", {"ok": True, "event": "priced", "data": {"amount": 7}}, 1)
        repeat = await client.ask("buy", payload, ack=2)
        assert [sent._replace(re=None) for sent in repeat] == [
            sent._replace(re=None) for sent in first
        ]
        assert [sent.re for sent in repeat if sent.name == "ack"] == [2]


async def test_without_an_id_or_with_another_it_is_another_request(shop: Shop) -> None:
    async with running(shop.plugin()) as server:
        client = await connected(server)
        await buy(client, None)
        await buy(client, None)
        await buy(client, "a")
        await buy(client, "b")
        assert await buy(client, None, text="about a requestId") == bought(5)
        assert shop.served == 5


async def test_another_users_id_is_another_id(shop: Shop) -> None:
    async with running(shop.plugin()) as server:
        await buy(await connected(server, "ada"))
        assert await buy(await connected(server, "bob")) == bought(2)


@pytest.mark.parametrize(
    ("request_id", "complaint"),
    [
        ("", "Expected `str` of length >= 1 - at `$.requestId`"),
        ("x" * 65, "Expected `str` of length <= 64 - at `$.requestId`"),
        (7, "Expected `str | null`, got `int` - at `$.requestId`"),
        ({}, "Expected `str | null`, got `object` - at `$.requestId`"),
    ],
)
async def test_what_is_no_id(shop: Shop, request_id: object, complaint: str) -> None:
    async with running(shop.plugin()) as server:
        client = await connected(server)
        (refusal,) = await buy(client, request_id)
        assert refusal == Sent(
            "validation_error",
            {"code": "INVALID_REQUEST", "message": complaint, "event": "buy"},
        )
        assert shop.served == 0


async def test_an_id_stands_for_one_request(shop: Shop) -> None:
    async with running(shop.plugin()) as server:
        client = await connected(server)
        await buy(client, count=2)
        (refusal,) = await buy(client, count=3)
        assert (refusal.name, refusal.data["code"]) == ("buy_error", "INVALID_REQUEST")
        assert "requestId" in refusal.data["message"]
        assert await buy(client, count=2) == bought(1)


async def test_a_repeat_waits_for_the_first(shop: Shop) -> None:
    shop.gate = anyio.Event()
    async with running(shop.plugin()) as server, anyio.create_task_group() as tasks:
        clients = [await connected(server) for _ in range(3)]
        for client in clients:
            tasks.start_soon(client.send, "buy", {"item": "hat", "requestId": "r1"})
            await settle()
        assert shop.served == 1
        assert clients[1].take() == []
        shop.gate.set()
        await settle()
        for client in clients:
            assert client.take() == bought(1)


async def test_the_first_may_lose_its_connection(shop: Shop) -> None:
    shop.gate = anyio.Event()
    async with running(shop.plugin()) as server, anyio.create_task_group() as tasks:
        first, second = await connected(server), await connected(server)
        tasks.start_soon(first.send, "buy", {"item": "hat", "requestId": "r1"})
        await settle()
        first.close("transport close")
        tasks.start_soon(second.send, "buy", {"item": "hat", "requestId": "r1"})
        await settle()
        shop.gate.set()
        await settle()
        assert second.take() == bought(1)


async def test_a_final_refusal_is_remembered(shop: Shop) -> None:
    shop.failure = NotFound("no such hat")
    async with running(shop.plugin()) as server:
        client = await connected(server)
        first = await buy(client)
        assert first[-1] == Sent(
            "buy_error", {"item": "hat", "code": "NOT_FOUND", "message": "no such hat"}
        )
        shop.failure = None
        assert await buy(client) == first
        assert shop.served == 1


@pytest.mark.parametrize(
    "failure", [Overloaded("later", retry_after=2.5), Internal("us"), ValueError("a bug")]
)
async def test_what_may_be_retried_is_served_again(shop: Shop, failure: Exception) -> None:
    shop.failure, shop.gate = failure, anyio.Event()
    async with running(shop.plugin()) as server, anyio.create_task_group() as tasks:
        first, waiting = await connected(server), await connected(server)
        for client in (first, waiting):
            tasks.start_soon(client.send, "buy", {"item": "hat", "requestId": "r1"})
            await settle()
        shop.gate.set()
        await settle()
        for client in (first, waiting):  # who waited is told the same
            refused = client.take()[-1]
            assert refused.name == "buy_error"
            code = failure.code if isinstance(failure, RequestError) else "INTERNAL"
            assert refused.data["code"] == code
        shop.failure = None
        assert await buy(waiting) == bought(2)


async def test_an_outcome_is_kept_for_ten_minutes(shop: Shop) -> None:
    clock = VirtualClock()
    async with running(shop.plugin(), clock=clock) as server:
        client = await connected(server)
        await buy(client)
        await clock.advance(LIFETIME - 0.001)
        assert await buy(client) == bought(1)
        await clock.advance(0.001)
        assert await buy(client) == bought(2)


async def test_what_is_too_large_to_keep_is_not_done_twice(shop: Shop) -> None:
    shop.text = "x" * 300_000
    async with running(shop.plugin()) as server:
        client = await connected(server)
        assert (await buy(client))[-1].name == "bought"
        (refusal,) = await buy(client)
        assert refusal.data["code"] == "LIMIT_EXCEEDED"
        assert shop.served == 1


async def test_what_was_too_large_and_may_be_retried_is_told_so(shop: Shop) -> None:
    shop.failure, shop.gate, shop.price = Overloaded("later"), anyio.Event(), "x" * 300_000
    async with running(shop.plugin()) as server, anyio.create_task_group() as tasks:
        waiting = await two_asking(server, tasks)
        shop.gate.set()
        await settle()
        assert [sent.data["code"] for sent in waiting.take()] == ["OVERLOADED"]


async def test_a_request_is_not_kept_with_its_outcome() -> None:
    plugin, served = Plugin("shop"), []

    @plugin.on(Upload)
    async def upload(ctx: Context, request: Upload) -> None:
        served.append(ref(request))

    async with running(plugin) as server:
        client = await connected(server)
        await client.ask("upload", {"data": "x" * 500_000, "requestId": "r1"})
        assert len(outcomes_of(server)) == 1
        gc.collect()
        assert [request() for request in served] == [None]


@pytest.mark.parametrize("number", [2**70, {"deep": [-(2**70)]}])
async def test_numbers_that_not_every_wire_has(number: object) -> None:
    served: list[Context] = []
    async with running(sums(served)) as server:
        client = await connected(server, format_=FORMATS["plain-json"])
        for _ in range(2):
            (answer,) = await client.ask("sum", {"of": number, "requestId": "r1"})
            assert answer.data == {"of": number}
        (refusal,) = await client.ask("sum", {"of": 7, "requestId": "r1"})
        assert refusal.data["code"] == "INVALID_REQUEST"
    assert len(served) == 1


async def test_an_answer_that_json_does_not_have_is_not_given_twice() -> None:
    served: list[Context] = []
    async with running(sums(served, Sum(of={None: 1}))) as server:
        client = await connected(server, format_=FORMATS["plain-msgpack"])
        (answer,) = await client.ask("sum", {"of": 1, "requestId": "r1"})
        assert answer.data == {"of": {None: 1}}
        (refusal,) = await client.ask("sum", {"of": 1, "requestId": "r1"})
        assert refusal.data["code"] == "LIMIT_EXCEEDED"
        (refusal,) = await client.ask("sum", {"of": {None: 1}, "requestId": "r2"})
        assert refusal.data["code"] == "INVALID_REQUEST"
    assert len(served) == 1


@pytest.mark.parametrize(("code", "times"), [("NOT_FOUND", 1), ("OVERLOADED", 2)])
async def test_a_refusal_that_the_handler_tells_itself(code: ErrorCode, times: int) -> None:
    plugin, served = Plugin("sums"), []
    plugin.emits(BuyError)

    @plugin.on(Sum)
    async def total(ctx: Context, request: Sum) -> None:
        served.append(request)
        ctx.refuse(BuyError(code=ErrorCode(code), message="none", item="hat"))

    async with running(plugin) as server:
        client = await connected(server)
        first = await client.ask("sum", {"of": 1, "requestId": "r1"}, ack=1)
        repeat = await client.ask("sum", {"of": 1, "requestId": "r1"}, ack=1)
        assert repeat == first
        assert [sent.name for sent in first] == ["buy_error", "ack"]
    assert len(served) == times


async def test_what_comes_after_the_request_is_no_part_of_its_outcome() -> None:
    served: list[Context] = []
    async with running(sums(served)) as server:
        client = await connected(server)
        first = await client.ask("sum", {"of": 1, "requestId": "r1"})
        served[0].emit(Sum(of="late"))
        assert [sent.data for sent in client.take()] == [{"of": "late"}]
        assert await client.ask("sum", {"of": 1, "requestId": "r1"}) == first


async def test_a_session_subscribes_for_itself() -> None:
    plugin = Plugin("lobby")

    @plugin.room("lobby")
    async def join(ctx: Context) -> None:
        pass

    async with running(plugin) as server:
        clients = [await connected(server), await connected(server)]
        for number, client in enumerate(clients, 1):
            (subscribed,) = await client.ask("subscribe", {"room": "lobby", "requestId": "r1"})
            assert subscribed.data["subscriberCount"] == number


async def test_stopping_leaves_nobody_waiting(shop: Shop) -> None:
    shop.gate = anyio.Event()
    async with running(shop.plugin()) as server:
        outcomes = outcomes_of(server)
        async with anyio.create_task_group() as tasks:
            client = await connected(server)
            tasks.start_soon(client.send, "buy", {"item": "hat", "requestId": "r1"})
            await settle()
            assert len(outcomes) == 1
            tasks.cancel_scope.cancel()
        assert len(outcomes) == 0
