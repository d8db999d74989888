"""Clerk's session tokens.

Source: Clerk's documentation, "Session tokens" (version 2) and "Manual JWT verification".
"""

from __future__ import annotations

from collections.abc import Collection

from lbproto.auth.base import Identity
from lbproto.auth.jwks import JWKS
from lbproto.auth.jwt import JWT, KeySource
from lbproto.clock import Clock
from lbproto.errors import Unauthorized
from lbproto.transport import Peer

__all__ = ["Clerk"]


class Clerk(JWT):
    """Accepts the session tokens of a Clerk instance; the user is the token's `sub`.

    A session that Clerk calls pending (its user has still to choose an organization) is refused.

    Args:
        issuer: the instance's Frontend API URL, such as `https://clerk.example.com`.
        authorized_parties: origins that may have asked for a token (`azp`); give yours, None takes
            any.
        keys: where the instance's keys are; None for where Clerk publishes them.
        clock: what the times are measured by.

    Raises:
        UsageError: the URL is not one of HTTPS, or PyJWT is not installed.
    """

    def __init__(
        self,
        issuer: str,
        *,
        authorized_parties: Collection[str] | None = None,
        keys: KeySource | None = None,
        clock: Clock | None = None,
    ) -> None:
        issuer = issuer.rstrip("/")
        super().__init__(
            keys or JWKS(f"{issuer}/.well-known/jwks.json", clock=clock),
            issuer=issuer,
            authorized_parties=authorized_parties,
            algorithms=("RS256",),
            clock=clock,
        )

    async def authenticate(self, token: str, peer: Peer) -> Identity:
        identity = await super().authenticate(token, peer)
        if identity.claims.get("sts") == "pending":
            raise Unauthorized("the session is pending: finish signing in")
        return identity
