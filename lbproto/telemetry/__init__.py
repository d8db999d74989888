"""Traces and metrics of a server, by OpenTelemetry: `Server(..., telemetry=Telemetry())`.

Needs `opentelemetry-api`, and to be of any use an SDK, as `pip install "lbproto[otel]"` brings it.
"""

from lbproto.extras import extra

with extra("otel", __name__):
    from lbproto.telemetry.setup import Telemetry

__all__ = ["Telemetry"]
