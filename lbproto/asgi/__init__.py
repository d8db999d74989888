"""The ASGI edge: what a host mounts, and apps for the wire-level port."""

from lbproto.asgi.app import EngineIOApp, HealthApp, ServerApp, SocketIOApp
from lbproto.asgi.probes import Probes

__all__ = ["EngineIOApp", "HealthApp", "Probes", "ServerApp", "SocketIOApp"]
