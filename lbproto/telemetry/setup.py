"""The setting that turns on traces and metrics of a server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from lbproto.connection.runtime import Runtime
from lbproto.credits.accounts import Announce
from lbproto.delivery.hub import Hub
from lbproto.middleware import Middleware
from lbproto.middleware.tracing import Tracing
from lbproto.operations.statistics import ServerStatistics
from lbproto.registry import Registry
from lbproto.telemetry.metrics import Metrics
from lbproto.telemetry.names import SCOPE
from lbproto.telemetry.requests import Requests
from lbproto.telemetry.spans import Clients, Spans

__all__ = ["Telemetry"]


class Telemetry:
    """Traces and metrics by OpenTelemetry; one for all servers of a process.

    It uses what is configured when it is made. Where that is nothing, no SDK or none that is set
    up, a server with it is a server without.

    Args:
        tracer_provider: makes tracers; the global one by default.
        meter_provider: makes meters; likewise.
        clients: what is done with the trace that a client says its request is in. It is
            continued by default; but it says whether it is recorded, too. Where strangers are not
            to decide that, it is linked to, and the server's own sampling decides; or ignored.
        durations: whether durations of requests are a metric. Of what is done for every request,
            recorded or not, that takes most: an SDK's histogram needs ten microseconds.
        most_carried: events emitted within one span whose deliveries by other nodes are recorded.

    Attributes:
        spans: makes spans; None where they would go nowhere.
        metrics: the same for metrics.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        clients: Clients = "continue",
        durations: bool = True,
        most_carried: int = 8,
    ) -> None:
        tracer = (tracer_provider or trace.get_tracer_provider()).get_tracer(SCOPE)
        meter = (meter_provider or metrics.get_meter_provider()).get_meter(SCOPE)
        self.spans = Spans(tracer, clients, most_carried) if _does(tracer) else None
        self.metrics = Metrics(meter, durations=durations) if _does(meter) else None

    # For the server

    def tracing(self, registry: Registry, hub: Hub, runtime: Runtime) -> Middleware | None:
        """The middleware; None where it would do nothing: then nothing else is changed either."""
        if self.spans is None and self.metrics is None:
            return None
        hub.traces = self.spans
        runtime.times_arrivals = True
        return Tracing(Requests(self.spans, self.metrics, registry.routes)).serve

    def counting(self, announce: Announce, registry: Registry) -> Announce:
        """What announces movements of credits, and counts them."""
        if self.metrics is None:
            return announce
        return self.metrics.counting(announce, registry.routes)

    def observing(self, statistics: Callable[[], ServerStatistics]) -> AbstractContextManager[None]:
        """Have a server observed inside the `with`, in its event loop."""
        return nullcontext() if self.metrics is None else self.metrics.observing(statistics)


def _does(made: object) -> bool:
    """Whether what a provider makes does anything: the API's own classes do not."""
    return not type(made).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))
