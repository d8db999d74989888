"""The spans of one server, by OpenTelemetry's API.

Theory of operation. A request has one span, from its arrival until it was served; a job's is its
request's. It is the current one meanwhile: what a handler traces by itself is within it. What is
emitted in it takes its name along to the other nodes, where a delivery is one span, however many it
is delivered to. A span that is not recorded (sampled) has none of that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from time import time_ns
from typing import Annotated, Literal

import msgspec
from opentelemetry import trace
from opentelemetry.context import Context as OTelContext
from opentelemetry.trace import Link, Span, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from lbproto.errors import InvalidRequest
from lbproto.telemetry.names import (
    DESTINATION,
    EVENT,
    MATCHED,
    MESSAGING_OPERATION,
    MESSAGING_OPERATION_TYPE,
    MESSAGING_SYSTEM,
    METHOD,
    SYSTEM,
    SYSTEM_NAME,
)
from lbproto.wire.arguments import Inbound

__all__ = ["Clients", "RequestTrace", "Spans"]

Clients = Literal["continue", "link", "ignore"]
"""What is done with the trace that a client says its request is part of."""

_PROPAGATOR = TraceContextTextMapPropagator()
_MENTION = re.compile(b"traceparent")
_EMPTY = OTelContext()
_REMEMBERED = 1_024  # spans whose emits are counted at a time


class _Traced(msgspec.Struct):
    """What a request says of its trace (W3C Trace Context), beside whatever it asks for."""

    traceparent: Annotated[str, msgspec.Meta(max_length=128)] = ""
    tracestate: Annotated[str, msgspec.Meta(max_length=512)] = ""


class RequestTrace:
    """See `lbproto.traces.Trace`."""

    __slots__ = ("_span", "_tracer")

    def __init__(self, tracer: Tracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span

    @property
    def parent(self) -> str:
        return _traceparent(self._span)

    def add(
        self, name: str, began: int, ended: int, attributes: Mapping[str, str | int | float]
    ) -> None:
        span = self._tracer.start_span(
            name,
            trace.set_span_in_context(self._span, _EMPTY),
            attributes=attributes,
            start_time=began,
        )
        span.end(ended)


class Spans:
    """Makes them; also what the hub has for `Traces`.

    Args:
        tracer: makes them.
        clients: what is done with the trace that a client is in.
        most_carried: events of one span that take its name along to other nodes.
    """

    def __init__(self, tracer: Tracer, clients: Clients, most_carried: int) -> None:
        self._tracer = tracer
        self._clients = clients
        self._most_carried = most_carried
        self._carried: dict[int, int] = {}  # by the span's id

    def begin(self, inbound: Inbound, method: str, waited: float) -> Span:
        """The span of a request, which has waited so many seconds."""
        context, links = _EMPTY, None
        if self._clients != "ignore" and inbound.arguments.mentions(_MENTION):
            context = _client_context(inbound)
            if self._clients == "link":
                links, context = _links(context), _EMPTY
        return self._tracer.start_span(
            method,
            context,
            SpanKind.SERVER,
            {SYSTEM: SYSTEM_NAME, METHOD: method},
            links,
            time_ns() - round(waited * 1e9),
        )

    def trace(self, span: Span) -> RequestTrace:
        """A span that is recorded, for handlers."""
        return RequestTrace(self._tracer, span)

    def carried(self) -> str | None:
        span = trace.get_current_span()
        context = span.get_span_context()
        if not context.trace_flags.sampled or not context.is_valid:
            return None
        counts, id_ = self._carried, context.span_id
        count = counts[id_] = counts.get(id_, 0) + 1
        if len(counts) > _REMEMBERED:
            del counts[next(iter(counts))]  # the one that has begun first
        return _traceparent(span) if count <= self._most_carried else None

    def delivered(self, trace: str, event: str, room: str, began: int, matched: int) -> None:
        context = _PROPAGATOR.extract({"traceparent": trace}, _EMPTY)
        span = self._tracer.start_span(
            f"deliver {event}",
            context,
            SpanKind.CONSUMER,
            {
                MESSAGING_SYSTEM: SYSTEM_NAME,
                MESSAGING_OPERATION: "deliver",
                MESSAGING_OPERATION_TYPE: "process",
                DESTINATION: room,
                EVENT: event,
                MATCHED: matched,
            },
            _links(context),
            began,
        )
        span.end()

    def answered(self, trace: str, call: str, began: int) -> None:
        context = _PROPAGATOR.extract({"traceparent": trace}, _EMPTY)
        span = self._tracer.start_span(
            f"answer {call}",
            context,
            SpanKind.SERVER,
            {SYSTEM: SYSTEM_NAME, METHOD: call},
            start_time=began,
        )
        span.end()


def _client_context(inbound: Inbound) -> OTelContext:
    """The context that a request says it is in; an empty one where it says none that is valid."""
    try:
        said = inbound.arguments.first(_Traced)
    except InvalidRequest:
        return _EMPTY
    carrier = {"traceparent": said.traceparent, "tracestate": said.tracestate}
    return _PROPAGATOR.extract(carrier, _EMPTY)


def _links(context: OTelContext) -> list[Link]:
    return [Link(trace.get_current_span(context).get_span_context())]


def _traceparent(span: Span) -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
