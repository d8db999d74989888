"""Records a request's span, and its duration as a metric."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import Token

from opentelemetry.context import Context as OTelContext
from opentelemetry.context import attach, detach
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context

from lbproto.context import Context
from lbproto.errors import ErrorCode
from lbproto.operations.pseudonyms import pseudonym
from lbproto.registry import Route
from lbproto.telemetry.metrics import OURS, Metrics
from lbproto.telemetry.names import (
    HANDLER_SECONDS,
    JOB,
    OK,
    QUEUE_SECONDS,
    STATUS,
    TYPE,
    USER,
    bounded,
)
from lbproto.telemetry.spans import Spans

__all__ = ["Requests"]

_FAILED = Status(StatusCode.ERROR)

Begun = tuple[Span, Token[OTelContext]]


class Requests:
    """See `lbproto.middleware.tracing.Recorder`.

    Args:
        spans: makes a span for each; None for none.
        metrics: measures each; None for none.
        routes: the requests that there are, by name.
    """

    def __init__(
        self, spans: Spans | None, metrics: Metrics | None, routes: Mapping[str, Route]
    ) -> None:
        self._spans = spans
        self._metrics = metrics
        self._routes = routes

    def begin(self, ctx: Context, waited: float) -> Begun | None:
        if self._spans is None:
            return None
        span = self._spans.begin(ctx.inbound, bounded(ctx.inbound.name, self._routes), waited)
        if span.is_recording():
            ctx.trace = self._spans.trace(span)
        return span, attach(set_span_in_context(span))

    def end(
        self,
        ctx: Context,
        begun: Begun | None,
        code: ErrorCode | None,
        waited: float,
        took: float,
    ) -> None:
        if self._metrics is not None:  # while the span is the current one: it is an exemplar
            method = bounded(ctx.inbound.name, self._routes)
            self._metrics.served(method, code, waited + took)
        if begun is None:
            return
        span, token = begun
        detach(token)
        if span.is_recording():
            self._describe(span, ctx, code, waited, took)
        span.end()

    @staticmethod
    def _describe(
        span: Span, ctx: Context, code: ErrorCode | None, waited: float, took: float
    ) -> None:
        attributes: dict[str, str | float] = {
            USER: pseudonym(ctx.user_id),
            STATUS: code or OK,
            QUEUE_SECONDS: waited,
            HANDLER_SECONDS: took,
        }
        if ctx.job is not None:
            attributes[JOB] = ctx.job.id
        if code in OURS:
            attributes[TYPE] = str(code)
            span.set_status(_FAILED)
        span.set_attributes(attributes)
