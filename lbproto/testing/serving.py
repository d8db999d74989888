"""A server to be tested: on a clock of its own, and with an authenticator that asks for little."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

from lbproto.auth import Identity
from lbproto.errors import Unauthorized
from lbproto.plugin import Plugin
from lbproto.server import Server
from lbproto.testing.clock import VirtualClock
from lbproto.transport import Peer

__all__ = ["AnyToken", "Serve", "serve"]


class AnyToken:
    """An authenticator for tests: a token is its user's id; who shows none is refused."""

    async def authenticate(self, token: str, peer: Peer) -> Identity:  # noqa: ARG002 - the port's
        if not token:
            raise Unauthorized("no token")
        return Identity(token)


@asynccontextmanager
async def serve(*plugins: Plugin, **options: Any) -> AsyncIterator[Server]:
    """Run a server with these plugins.

    Args:
        options: of `Server`. By default `auth` is `AnyToken()`, and `clock` a new `VirtualClock`.
    """
    server = Server(plugins, **{"auth": AnyToken(), "clock": VirtualClock(), **options})
    async with server.lifespan():
        yield server


class Serve(Protocol):
    """What the fixture `serve` is: `serve`, on the test's clock."""

    def __call__(self, *plugins: Plugin, **options: Any) -> AbstractAsyncContextManager[Server]:
        """Run a server with these plugins; `options` are those of `Server`."""
        ...
