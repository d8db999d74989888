"""Telemetry: what it costs a request, and a delivery of what another node has emitted.

The floor is a server without. `no SDK` has telemetry and nothing configured, so that nothing of it
is left; `SDK, not sampled` records no request, and counts them, with or without their durations;
`SDK` records each, and encodes it as OTLP wants it. What is encoded goes nowhere.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Raw
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from opentelemetry.trace import NoOpTracerProvider

from benchmarks.lbproto_server import bench, candle
from benchmarks.micro.limits import Nowhere
from benchmarks.micro.operation import Operation, Prepared, calling, done
from lbproto import Identity, Server, Session, StaticTokens
from lbproto.delivery.forward import forward
from lbproto.telemetry import Telemetry
from lbproto.wire import Inbound
from lbproto.wire.arguments import JSONArguments

__all__ = ["OPERATIONS"]

SERVE = "serve a request, with telemetry"
DELIVER = "deliver another node's event to 100, with telemetry"
_BATCH = 16  # spans: few, so that each measurement has its share of them
_ROOM = "bench:BTC"
_TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_ORDER = b'{"symbol":"BTCUSDT","side":"buy","qty":0.5,"price":67012.5}'
_TRACED_ORDER = _ORDER[:-1] + f',"traceparent":"{_TRACEPARENT}"}}'.encode()


class _Encoding(SpanProcessor):
    """Encodes spans in batches, in the thread that ends them: the SDK's would drop some of them."""

    def __init__(self) -> None:
        self._ended: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self._ended.append(span)
        if len(self._ended) >= _BATCH:
            encode_spans(self._ended).SerializeToString()
            self._ended.clear()


def _none() -> Telemetry:
    return Telemetry(tracer_provider=NoOpTracerProvider(), meter_provider=NoOpMeterProvider())


def _sdk(sampler: Sampler = ALWAYS_ON, *, durations: bool = True) -> Telemetry:
    tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    tracers.add_span_processor(_Encoding())
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    return Telemetry(tracer_provider=tracers, meter_provider=meters, durations=durations)


def _counted() -> Telemetry:
    return _sdk(ALWAYS_OFF, durations=False)


def _unsampled() -> Telemetry:
    return _sdk(ALWAYS_OFF)


Make = Callable[[], Telemetry | None]


def _nothing() -> None:
    return None


def _server(make: Make) -> Server:
    return Server([bench()], auth=StaticTokens({}), telemetry=make())


def _session(server: Server) -> Session:
    session = Session(Identity("user"), Nowhere(), "", 0.0, 0)
    socket = Nowhere()
    session.attach(socket)
    session.catch_up()
    socket.state = session
    return session


def _serving(make: Make, order: bytes = _ORDER) -> Callable[[], Prepared]:
    def prepare() -> Prepared:
        server = _server(make)
        socket = _session(server).socket
        inbound = Inbound("place_order", JSONArguments((Raw(order),)), 1)
        event = server.sessions.event
        assert socket is not None  # noqa: S101 - it is attached

        def run(times: int) -> None:
            for _ in range(times):
                done(event(socket, inbound))

        return run

    return prepare


def _delivering(make: Make, trace: str | None = None) -> Callable[[], Prepared]:
    def prepare() -> Prepared:
        server = _server(make)
        for _ in range(100):
            server._hub._rooms.add(_ROOM, _session(server))  # noqa: SLF001 - they have joined
        payload = forward(candle(1, 190), (), trace)
        return calling(server._parts.inflow._receive, _ROOM, payload)  # noqa: SLF001 - as from a broker

    return prepare


OPERATIONS = (
    Operation(SERVE, "floor", _serving(_nothing)),
    Operation(SERVE, "no SDK", _serving(_none)),
    Operation(SERVE, "SDK, not sampled, no durations", _serving(_counted)),
    Operation(SERVE, "SDK, not sampled", _serving(_unsampled)),
    Operation(SERVE, "SDK", _serving(_sdk)),
    Operation(SERVE, "SDK, a client's trace", _serving(_sdk, _TRACED_ORDER)),
    Operation(DELIVER, "floor", _delivering(_nothing)),
    Operation(DELIVER, "no SDK", _delivering(_none)),
    Operation(DELIVER, "SDK, not traced", _delivering(_sdk)),
    Operation(DELIVER, "SDK, traced", _delivering(_sdk, _TRACEPARENT)),
)
"""A request, and a delivery; each with less and more of it."""
