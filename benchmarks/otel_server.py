"""The server that is measured, with telemetry: it records every request, and encodes it for OTLP.

What is encoded goes nowhere: what a collector takes is not the server's.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks import lbproto_server
from lbproto import Server
from lbproto.telemetry import Telemetry

__all__ = ["server"]

_QUEUE = 1 << 18  # spans: so that none is dropped, and left out of what is measured


class _Encoding(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        encode_spans(spans).SerializeToString()
        return SpanExportResult.SUCCESS


def _nowhere(_data: MetricsData) -> str:
    return ""


def server() -> Server:
    """The server that is measured."""
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(_Encoding(), max_queue_size=_QUEUE))
    exporter = ConsoleMetricExporter(formatter=_nowhere)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=1_000)
    telemetry = Telemetry(tracer_provider=tracers, meter_provider=MeterProvider([reader]))
    return lbproto_server.server(telemetry)
