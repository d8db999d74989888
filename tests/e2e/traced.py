"""An app of several nodes with queries, which tells a collector; who hears of queries is `audit`.

The environment says where: the broker's URL, and OpenTelemetry's own variables.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from lbproto import Context, Endpoint, Event, Plugin, Server
from lbproto.backends.redis_pubsub import RedisPubSub
from lbproto.ledger.memory import MemoryLedger
from lbproto.telemetry import Telemetry
from lbproto.testing import AnyToken
from lbproto_query import DuckDBEngine, bundled_catalogues, queries

BROKER = "LBPROTO_TEST_BROKER"


class Audited(Event):
    event: str


def auditing() -> Plugin:
    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncIterator[None]:
        await server.credits.grant("ada", 1_000, "welcome")
        yield

    plugin = Plugin("audit", lifespan=lifespan)
    plugin.emits(Audited)

    @plugin.room("audit", announce=False)
    async def audit(_ctx: Context) -> None: ...

    return plugin


async def audited(ctx: Context, call_next: Endpoint) -> None:
    """Tell every node of each query."""
    await call_next(ctx)
    if ctx.inbound.name == "query":
        ctx.to("audit").emit(Audited(ctx.inbound.name))


def telemetry() -> Telemetry:
    resource = Resource.create({"service.name": f"node {os.getpid()}"})
    tracers = TracerProvider(resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    return Telemetry(tracer_provider=tracers, meter_provider=MeterProvider([reader], resource))


def build() -> Server:
    return Server(
        [auditing(), queries(DuckDBEngine(bundled_catalogues()), price=3)],
        auth=AnyToken(),
        pubsub=RedisPubSub(os.environ.get(BROKER, "redis://127.0.0.1")),
        credits=MemoryLedger(),
        middleware=[audited],
        telemetry=telemetry(),
    )


app = build().asgi()
