"""The ASGI edge: what a host mounts, and apps for the wire-level port."""

from lbproto.asgi.app import EngineIOApp, ServerApp, SocketIOApp

__all__ = ["EngineIOApp", "ServerApp", "SocketIOApp"]
