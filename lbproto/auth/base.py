"""The authenticator port: verifies a token and returns an identity."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from lbproto.errors import UsageError
from lbproto.transport import Peer

__all__ = [
    "Authenticate",
    "Authenticator",
    "Authorize",
    "Identity",
    "granted_applications",
    "strip_bearer",
]

_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified user.

    Attributes:
        user_id: the token's subject, opaque; 1 or more characters.
        claims: what else the token says.
        expires_at: when the token's life ends, in seconds since the Unix epoch; None for never.

    Raises:
        UsageError: the user id is empty, or not a `str`.
    """

    user_id: str
    claims: Mapping[str, Any] = field(default_factory=dict)
    expires_at: float | None = None

    def __post_init__(self) -> None:
        given: object = self.user_id  # as hosts without a type checker may have it
        if not isinstance(given, str) or not given:
            raise UsageError(f"a user id is text of 1 or more characters, not {given!r}")


Authorize = Callable[[Identity, str], Awaitable[bool]]
"""Whether a user may name an application, by its id."""


async def granted_applications(identity: Identity, application_id: str) -> bool:
    """Admits `default`, and what the token grants: its claim `applications`, a list of ids."""
    granted = identity.claims.get("applications")
    return application_id == "default" or (isinstance(granted, list) and application_id in granted)


class Authenticator(Protocol):
    """Verifies tokens."""

    async def authenticate(self, token: str, peer: Peer) -> Identity:
        """Verify a token and return whose it is.

        Args:
            token: without the prefix `Bearer`; "" where the client sent none.
            peer: who shows it.

        Raises:
            Unauthorized: the token is not accepted; the message is shown to the client.
        """
        ...


Authenticate = Callable[[str, Peer], Awaitable[Identity]]
"""`Authenticator.authenticate`, or a function by itself that does the same."""


def strip_bearer(token: str) -> str:
    """The token without the optional prefix `Bearer` (any case)."""
    token = token.strip()
    return token[len(_BEARER) :].lstrip() if token.lower().startswith(_BEARER) else token
