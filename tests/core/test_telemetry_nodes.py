"""Traces that go from node to node."""

from __future__ import annotations

from contextvars import copy_context

import anyio
import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import SpanKind

from lbproto import Context, Plugin, Server
from lbproto.backends.memory import MemoryBroker, MemoryPubSub
from lbproto.delivery.forward import forward
from lbproto.testing import settle
from lbproto.wire import Inbound
from lbproto.wire.arguments import ObjectArguments
from tests.core.harness import Client, connected, running
from tests.core.telling import context_of, telling
from tests.core.traced_shop import (
    TRACE,
    TRACEPARENT,
    Buy,
    News,
    shop,
)

pytestmark = pytest.mark.anyio


async def reader(server: Server, user: str) -> Client:
    client = await connected(server, user)
    await client.ask("subscribe", {"room": "news"})
    return client


async def test_a_delivery_on_another_node_is_one_span_of_the_same_trace() -> None:
    broker = MemoryBroker()
    async with (
        telling(shop(), pubsub=MemoryPubSub(broker)) as (one, told_one),
        telling(shop(), pubsub=MemoryPubSub(broker)) as (two, told_two),
    ):
        readers = [await reader(two, user) for user in ("bob", "cid", "dan")]
        await settle()
        told_two.finished()
        client = await connected(one)
        await client.ask("buy", {"item": "news", "traceparent": TRACEPARENT})
        await settle()
        request = told_one.span()
        deliveries = told_two.finished()
        assert all(len(each.take()) == 20 for each in readers[:1])
        assert len(deliveries) == 8  # of twenty events, to three clients each
        for span in deliveries:
            context = context_of(span)
            assert (span.name, span.kind) == ("deliver news", SpanKind.CONSUMER)
            assert f"{context.trace_id:032x}" == TRACE
            assert span.parent is not None
            assert span.parent.span_id == context_of(request).span_id
            (link,) = span.links
            assert link.context.span_id == span.parent.span_id
            assert dict(span.attributes or {}) == {
                "messaging.system": "lbproto",
                "messaging.operation.name": "deliver",
                "messaging.operation.type": "process",
                "messaging.destination.template": "news",
                "lbproto.event": "news",
                "lbproto.delivery.sessions": 3,
            }


async def test_what_is_asked_of_another_node_is_a_span_there() -> None:
    broker = MemoryBroker()
    async with (
        telling(shop(), pubsub=MemoryPubSub(broker)) as (one, told_one),
        telling(shop(), pubsub=MemoryPubSub(broker)) as (two, told_two),
    ):
        there = await connected(two)
        await there.send("dig", {})
        await settle()
        (job,) = two._parts.jobs._by_user["ada"]
        here = await connected(one)
        await here.ask("cancel", {"id": job, "traceparent": TRACEPARENT})
        await settle()
        (cancel,) = (span for span in told_one.finished() if span.name == "cancel")
        dig, answer = sorted(told_two.finished(), key=lambda span: span.name, reverse=True)
        assert (answer.name, answer.kind) == ("answer cancel", SpanKind.SERVER)
        assert answer.parent is not None
        assert answer.parent.span_id == context_of(cancel).span_id
        assert dict(dig.attributes or {})["rpc.response.status_code"] == "CANCELLED"


async def test_what_is_not_recorded_takes_nothing_along() -> None:
    broker = MemoryBroker()
    async with (
        telling(shop(), sampler=ALWAYS_OFF, pubsub=MemoryPubSub(broker)) as (one, _),
        telling(shop(), sampler=ALWAYS_ON, pubsub=MemoryPubSub(broker)) as (two, told_two),
    ):
        there = await reader(two, "bob")
        await settle()
        told_two.finished()
        client = await connected(one)
        await client.ask("buy", {"item": "news"})
        await settle()
        assert there.take()
        assert told_two.finished() == []


@pytest.mark.parametrize("room", ["news", "nowhere"])
async def test_what_nobody_here_gets_is_no_span(room: str) -> None:
    async with telling(shop()) as (server, told):
        server._parts.inflow._receive(room, forward(News(), (), TRACEPARENT))
        assert told.finished() == []


async def test_a_node_without_telemetry_delivers_what_is_traced() -> None:
    broker = MemoryBroker()
    async with (
        telling(shop(), pubsub=MemoryPubSub(broker)) as (one, _),
        running(shop(), pubsub=MemoryPubSub(broker)) as two,
    ):
        there = await reader(two, "bob")
        await settle()
        there.take()
        client = await connected(one)
        await client.ask("buy", {"item": "news"})
        await settle()
        assert [sent.name for sent in there.take()] == ["news"] * 20


@pytest.mark.parametrize("most", [0, 8])
async def test_spans_that_are_carried_are_forgotten(most: int) -> None:
    async with telling(shop(), telemetry={"most_carried": most}) as (_, told):
        spans, tracer = told.telemetry.spans, told.tracers.get_tracer("host")
        assert spans is not None
        for _ in range(3_000):
            with tracer.start_as_current_span("publish"):
                assert (spans.carried() is not None) == bool(most)
        assert len(spans._carried) <= 1_024
        with tracer.start_as_current_span("publish"):
            assert [spans.carried() is not None for _ in range(10)] == [
                *[True] * most,
                *[False] * (10 - most),
            ]
        assert spans.carried() is None


async def test_a_request_that_the_event_loop_has_thrown_away_is_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plugin = Plugin("stuck")

    @plugin.on(Buy)
    async def buy(ctx: Context, request: Buy) -> None:
        await anyio.sleep_forever()

    async with telling(plugin) as (server, told):
        client = await connected(server)
        inbound = Inbound("buy", ObjectArguments([]), None)
        served = server.sessions.event(client.socket, inbound)
        served.send(None)
        copy_context().run(served.close)  # as a garbage collector does, wherever it runs
        assert told.finished() == []
    assert caplog.text == ""
