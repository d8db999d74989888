"""A server that is traced and measured: OTLP takes what it tells to any OpenTelemetry collector.

OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 lbproto serve otel:server
"""

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from lbproto import Context, Event, Plugin, Server, StaticTokens
from lbproto.telemetry import Telemetry

# Who exports what, and where to, is the program's to say: lbproto only tells.
tracers = TracerProvider()
tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(tracers)
metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))

tracer = trace.get_tracer("greeter")


class Greet(Event):
    name: str


class Greeting(Event):
    text: str


plugin = Plugin("greeter")


@plugin.on(Greet)
async def greet(ctx: Context, request: Greet) -> Greeting:
    with tracer.start_as_current_span("look up"):  # within the request's span
        nice = request.name.title()
    return Greeting(text=f"Hello {nice}, from {ctx.user_id}")


server = Server(
    plugins=[plugin],
    auth=StaticTokens({"secret": "alice"}),
    telemetry=Telemetry(),
)
