"""Where a client connects to, and how."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable

from lbproto.client.address import Address
from lbproto.client.bounds import Bounds, Reconnect
from lbproto.client.codecs import Wire
from lbproto.client.errors import Disconnected

__all__ = ["Target", "Token"]

Token = str | Callable[[], str | Awaitable[str]]
"""Who a client is: a token, or what gets one, asked each time that one is to be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The settings shared by all connections of a client.

    Attributes:
        address: the server's, on this wire.
        wire: what is spoken.
        token: who the client is.
        context: for TLS; None for the system's trust.
        reconnect: how it comes back; None where it does not.
        bounds: of what the server may do.
    """

    address: Address
    wire: Wire
    token: Token
    context: ssl.SSLContext | None
    reconnect: Reconnect | None
    bounds: Bounds

    @property
    def renews(self) -> bool:
        """Whether another token may be had."""
        return not isinstance(self.token, str)

    async def fresh_token(self) -> str:
        """A token to show.

        Raises:
            Disconnected: none can be had now.
        """
        if isinstance(self.token, str):
            return self.token
        try:
            found = self.token()
            return await found if isawaitable(found) else found
        except Exception as error:
            raise Disconnected("no token to connect with could be obtained") from error
