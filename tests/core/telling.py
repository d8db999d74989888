"""A server whose telemetry goes to lists in memory, by OpenTelemetry's own SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler
from opentelemetry.trace import SpanContext

from lbproto import Plugin, Server
from lbproto.telemetry import Telemetry
from tests.core.harness import running

__all__ = ["Points", "Told", "context_of", "telling", "told"]

Points = dict[tuple[tuple[str, object], ...], Any]
"""The points of a metric, by their attributes."""


@dataclass
class Told:
    """What was exported.

    Attributes:
        tracers: makes tracers, for a handler's own spans.
    """

    spans: InMemorySpanExporter
    reader: InMemoryMetricReader
    tracers: TracerProvider
    telemetry: Telemetry

    def finished(self) -> list[ReadableSpan]:
        """The spans that have ended since the last call."""
        spans = list(self.spans.get_finished_spans())
        self.spans.clear()
        return spans

    def span(self) -> ReadableSpan:
        """The one span that has ended since the last call."""
        (span,) = self.finished()
        return span

    def metrics(self) -> dict[str, Points]:
        """Every metric's points, as of now."""
        data: MetricsData | None = self.reader.get_metrics_data()
        found: dict[str, Points] = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    points = found.setdefault(metric.name, {})
                    for point in metric.data.data_points:
                        key = tuple(sorted((point.attributes or {}).items()))
                        points[key] = getattr(point, "count", None) or getattr(point, "value", 0)
        return found


def context_of(span: ReadableSpan) -> SpanContext:
    """Its ids."""
    context = span.get_span_context()
    assert context is not None
    return context


def told(sampler: Sampler | None = None, **options: Any) -> Told:
    """Telemetry to a list."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider([reader], shutdown_on_exit=False)
    telemetry = Telemetry(tracer_provider=tracers, meter_provider=meters, **options)
    return Told(exporter, reader, tracers, telemetry)


@asynccontextmanager
async def telling(
    *plugins: Plugin,
    sampler: Sampler | None = None,
    telemetry: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[Server, Told]]:
    """A server that runs, and what it tells."""
    where = told(sampler, **(telemetry or {}))
    async with running(*plugins, telemetry=where.telemetry, **options) as server:
        yield server, where
