"""Health probes for orchestrators and load balancers: liveness and readiness."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from lbproto.asgi.types import ASGIApp, Receive, Scope, Send
from lbproto.errors import UsageError
from lbproto.operations.health import Check

if TYPE_CHECKING:
    from lbproto.server import Server

__all__ = ["Probes", "probe_endpoints"]

_METHODS = ("GET", "HEAD")
_OK, _METHOD_NOT_ALLOWED, _UNAVAILABLE = 200, 405, 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Probes:
    """The paths of the health probes: each answers 200 or 503, with the reason in JSON.

    Attributes:
        live: whether the server runs, and its event loop turns; "" for nowhere.
        ready: whether it is to be sent clients; "" for nowhere.
        ignore: checks that are told and do not count: a storage that all nodes share takes all of
            them out of a load balancer at once.

    Raises:
        UsageError: a path does not begin with "/", ends with it, or is both.
    """

    live: str = "/healthz"
    ready: str = "/readyz"
    ignore: Collection[Check] = ()

    def __post_init__(self) -> None:
        for path in filter(None, (self.live, self.ready)):
            if not path.startswith("/") or path.endswith("/"):
                raise UsageError(f"probes: {path!r} is not a path such as /healthz")
        if self.live and self.live == self.ready:
            raise UsageError(f"probes: live and ready must have different paths, not {self.live!r}")


def probe_endpoints(server: Server, probes: Probes) -> dict[str, ASGIApp]:
    """What answers, by path."""
    endpoints: dict[str, ASGIApp] = {}
    if probes.live:
        endpoints[probes.live] = partial(_serve, partial(_live, server))
    if probes.ready:
        endpoints[probes.ready] = partial(_serve, partial(_ready, server, frozenset(probes.ignore)))
    return endpoints


async def _live(server: Server) -> tuple[int, bytes]:
    if server.checks.live:
        return _OK, b'{"status":"live"}'
    return _UNAVAILABLE, b'{"status":"not live"}'


async def _ready(server: Server, ignored: frozenset[Check]) -> tuple[int, bytes]:
    health = await server.checks.look()
    well = ignored.issuperset(health.red)
    if well:
        health = msgspec.structs.replace(health, status="ready")
    return _OK if well else _UNAVAILABLE, msgspec.json.encode(health)


async def _serve(
    answer: Callable[[], Awaitable[tuple[int, bytes]]], scope: Scope, receive: Receive, send: Send
) -> None:
    headers = {"cache-control": "no-store"}
    if scope["method"] in _METHODS:
        status, body = await answer()
    else:
        status, body = _METHOD_NOT_ALLOWED, b'{"status":"GET or HEAD"}'
        headers["allow"] = ", ".join(_METHODS)
    response = Response(body, status, headers, media_type="application/json")
    if scope["method"] == "HEAD":
        response.body = b""  # its length is told all the same
    await response(scope, receive, send)
