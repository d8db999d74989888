"""Requests as spans: what is told of them, what they continue, and what continues them."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import NoOpTracerProvider, SpanKind, StatusCode, get_current_span

from lbproto import Context, Plugin
from lbproto.operations.pseudonyms import pseudonym
from lbproto.telemetry import Telemetry
from lbproto.testing import VirtualClock, Wire, connect, settle
from tests.core.harness import connected, make_server
from tests.core.telling import Told, context_of, telling
from tests.core.traced_shop import (
    PARENT,
    TRACE,
    TRACEPARENT,
    Bought,
    Buy,
    shop,
)

pytestmark = pytest.mark.anyio


async def test_a_request_is_a_span() -> None:
    async with telling(shop()) as (server, told):
        client = await connected(server, "ada")
        await client.ask("buy", {"item": "tea"}, ack=1)
        span = told.span()
        assert (span.name, span.kind, span.parent) == ("buy", SpanKind.SERVER, None)
        assert span.status.status_code is StatusCode.UNSET
        assert dict(span.attributes or {}) == {
            "rpc.system.name": "lbproto",
            "rpc.method": "buy",
            "rpc.response.status_code": "OK",
            "user.hash": pseudonym("ada"),
            "lbproto.queue.duration": 0,
            "lbproto.handler.duration": 0,
        }
        assert span.instrumentation_scope is not None
        assert span.instrumentation_scope.name == "lbproto"


@pytest.mark.parametrize(
    ("event", "request_", "code", "ours"),
    [
        ("buy", {"item": "snow"}, "NOT_FOUND", False),
        ("buy", {"item": 7}, "INVALID_REQUEST", False),
        ("buy", {"item": "ghost"}, "INTERNAL", True),
    ],
)
async def test_a_request_that_fails_has_its_code_and_nothing_of_its_reason(
    event: str, request_: Any, code: str, ours: bool
) -> None:
    async with telling(shop()) as (server, told):
        client = await connected(server)
        await client.ask(event, request_, ack=1)
        span = told.span()
        attributes = dict(span.attributes or {})
        assert attributes["rpc.response.status_code"] == code
        assert attributes.get("error.type") == (code if ours else None)
        assert span.status.status_code is (StatusCode.ERROR if ours else StatusCode.UNSET)
        assert not span.events
        assert "1234" not in span.to_json()
        duration = told.metrics()["rpc.server.call.duration"]
        ((labels, count),) = duration.items()
        assert (dict(labels)["rpc.response.status_code"], count) == (code, 1)


async def test_what_nobody_declares_has_one_name() -> None:
    async with telling(shop()) as (server, told):
        client = await connected(server)
        for number in range(50):
            await client.ask(f"made-up-{number}", {}, ack=number)
        spans = told.finished()
        assert {span.name for span in spans} == {"_OTHER"}
        assert not any("made-up" in span.to_json() for span in spans)
        duration = told.metrics()["rpc.server.call.duration"]
        assert [dict(key)["rpc.method"] for key in duration] == ["_OTHER"]
        assert list(duration.values()) == [50]


# What a client says


async def test_a_request_continues_the_trace_of_its_client() -> None:
    async with telling(shop()) as (server, told):
        client = await connected(server)
        said = {"item": "tea", "traceparent": TRACEPARENT, "tracestate": "vendor=1"}
        (answer,) = (sent for sent in await client.ask("buy", said) if sent.name == "bought")
        assert answer.data == {}
        span = told.span()
        assert span.parent is not None
        assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
        assert context_of(span).trace_state.to_header() == "vendor=1"
        assert not span.links


@pytest.mark.parametrize("wanted", ["link", "ignore"])
async def test_a_server_may_decide_by_itself_what_is_recorded(wanted: str) -> None:
    async with telling(shop(), telemetry={"clients": wanted}) as (server, told):
        client = await connected(server)
        await client.ask("buy", {"traceparent": TRACEPARENT})
        span = told.span()
        assert span.parent is None
        links = [f"{link.context.trace_id:032x}" for link in span.links]
        assert links == ([TRACE] if wanted == "link" else [])


@pytest.mark.parametrize("wanted", ["continue", "link"])
@pytest.mark.parametrize(
    "said",
    [
        {"traceparent": ""},
        {"traceparent": "00-" + "0" * 32 + "-" + "0" * 16 + "-01"},
        {"traceparent": "ff-" + TRACEPARENT[3:]},
        {"traceparent": TRACEPARENT.upper() + "-"},
        {"traceparent": "x" * 100_000},
        {"traceparent": 7},
        {"traceparent": {"traceparent": TRACEPARENT}},
        {"traceparent": TRACEPARENT, "tracestate": "x" * 100_000},
        {"item": "traceparent"},
    ],
    ids=lambda said: f"{said!s:.40}",
)
async def test_what_is_no_trace_is_passed_over(said: dict[str, Any], wanted: str) -> None:
    async with telling(shop(), telemetry={"clients": wanted}) as (server, told):
        client = await connected(server)
        names = [sent.name for sent in await client.ask("buy", said)]
        assert names == ["bought"]
        span = told.span()
        assert span.parent is None
        assert not span.links


async def test_what_a_client_does_not_record_is_not_recorded() -> None:
    async with telling(shop()) as (server, told):
        client = await connected(server)
        await client.ask("buy", {"traceparent": TRACEPARENT[:-1] + "0"})
        assert told.finished() == []
        assert told.metrics()["rpc.server.call.duration"]


# Within a request


async def test_a_handlers_own_spans_and_those_of_others_are_within_its_own() -> None:
    towards: list[Told] = []
    async with telling(shop(towards)) as (server, told):
        towards.append(told)
        client = await connected(server)
        await client.ask("buy", {"item": "watch"})
        await client.ask("buy", {"item": "map"})
        wind, watch, draw, map_ = told.finished()
        for inner, outer in ((wind, watch), (draw, map_)):
            assert inner.parent is not None
            assert inner.parent.span_id == context_of(outer).span_id
        assert (draw.name, draw.start_time, draw.end_time) == ("draw", 1_000, 2_000)
        assert dict(draw.attributes or {}) == {"process.pid": 7}
        assert not get_current_span().get_span_context().is_valid


async def test_a_request_that_is_not_recorded_has_no_trace_for_its_handler() -> None:
    async with telling(shop(), sampler=ParentBased(ALWAYS_OFF)) as (server, told):
        client = await connected(server)
        (sent,) = await client.ask("buy", {"item": "map"})
        assert sent.data["code"] == "INTERNAL"  # the handler asserts that there is one
        assert told.finished() == []


@pytest.mark.parametrize(("seconds", "code"), [(5, "CANCELLED"), (60, "TIMEOUT")])
async def test_a_job_is_its_requests_span(seconds: float, code: str) -> None:
    clock = VirtualClock()
    async with telling(shop(), clock=clock) as (server, told):
        client = await connected(server)
        await client.send("dig", {"traceparent": TRACEPARENT})
        await settle()
        assert told.finished() == []
        (work,) = server._parts.jobs._by_user["ada"].values()
        await clock.advance(seconds)
        if code == "CANCELLED":
            await client.send("cancel", {"id": work.id})
        await settle()
        assert work.failed == code
        (span,) = (span for span in told.finished() if span.name == "dig")
        attributes = dict(span.attributes or {})
        assert attributes["rpc.response.status_code"] == code
        assert attributes["lbproto.handler.duration"] == seconds
        assert isinstance(attributes["lbproto.job.id"], str)
        assert f"{context_of(span).trace_id:032x}" == TRACE


@pytest.mark.parametrize("wire", ["socketio-json", "socketio-msgpack", "plain-json"])
async def test_a_request_is_told_how_long_it_has_waited(wire: Wire) -> None:
    clock = VirtualClock()
    plugin, gate = Plugin("slow"), anyio.Event()

    @plugin.on(Buy)
    async def buy(ctx: Context, request: Buy) -> Bought:
        if request.item == "slow":
            await gate.wait()
        return Bought()

    async with (
        telling(plugin, clock=clock) as (server, told),
        connect(server, "ada", wire=wire) as client,
    ):
        client.emit(Buy("slow"))
        await settle()
        await clock.advance(1)
        client.emit(Buy("next"))
        await clock.advance(3)
        gate.set()
        await settle()
        slow, following = (dict(span.attributes or {}) for span in told.finished())
        assert slow["lbproto.queue.duration"] == 0
        assert slow["lbproto.handler.duration"] == 4
        assert following["lbproto.queue.duration"] == 3
        assert following["lbproto.handler.duration"] == 0


@pytest.mark.parametrize(
    ("wire", "message"),
    [("socketio-json", '42["buy",{}]'), ("plain-json", '{"event":"buy","data":{}}')],
)
async def test_a_request_has_waited_also_for_an_event_loop_that_was_held_up(
    wire: Wire, message: str
) -> None:
    clock = VirtualClock()
    async with (
        telling(shop(), clock=clock) as (server, told),
        connect(server, "ada", wire=wire),
    ):
        (connection,) = server.runtime.connections
        connection.deliver(message)
        clock.jump(2)
        await settle()
        assert dict(told.span().attributes or {})["lbproto.queue.duration"] == 2


# Nothing configured


@pytest.mark.parametrize(
    "telemetry",
    [
        Telemetry,
        lambda: Telemetry(tracer_provider=NoOpTracerProvider(), meter_provider=NoOpMeterProvider()),
    ],
    ids=["no SDK", "an SDK that is disabled"],
)
async def test_without_an_sdk_a_server_is_one_without_telemetry(telemetry: Any) -> None:
    made = telemetry()
    assert made.spans is None
    assert made.metrics is None
    server = make_server(shop(), telemetry=made)
    assert made.tracing(server.registry, server._hub, server.runtime) is None
    assert server._hub.traces is None
    assert not server.runtime.times_arrivals
    async with server.lifespan():
        client = await connected(server)
        assert [sent.name for sent in await client.ask("buy", {})] == ["bought"]
