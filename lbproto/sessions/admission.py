"""Who may connect, for how long, and for which application: the host's policy, and its check."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from lbproto.auth import Authenticate, Authorize, Identity, granted_applications, strip_bearer
from lbproto.errors import Unauthorized, UsageError
from lbproto.rooms.bans import Bans
from lbproto.transport import Peer
from lbproto.validation.mistakes import check_bounds, name_of, shown

__all__ = ["Admission", "Credentials", "Gate", "Revoked"]

Revoked = Callable[[Identity], Awaitable[bool]]
"""Whether what an identity was verified by has been revoked since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A host's policy on its users' sessions; times in seconds.

    Attributes:
        expiry: what happens to a session when its token expires. "ignore", the default: no
            more than that the next connection needs another one. "enforce": the client is told
            ahead, may renew the session, and its transport is closed otherwise.
        max_session_age: after this a session ends, however often it was renewed or resumed; None
            for no such limit.
        max_sessions_per_user: sessions of one user at a time, those away too. Nodes count those of
            the others as far as they know of them: a user who comes to several at once may have
            more.
        authorize: which applications a user may name; by default those the token grants.
        revoked: asked at each connection, resumption and renewal; None for never. To end sessions
            that are open, call `Server.disconnect`.

    Raises:
        UsageError: a number is not above 0, or `expiry` is something else.
    """

    expiry: Literal["ignore", "enforce"] = "ignore"
    max_session_age: float | None = None
    max_sessions_per_user: int = 1_000
    authorize: Authorize = granted_applications
    revoked: Revoked | None = None

    def __post_init__(self) -> None:
        if self.expiry not in ("ignore", "enforce"):
            raise UsageError(f"Admission: expiry is 'ignore' or 'enforce', not {self.expiry!r}")
        check_bounds(self)


class Credentials(msgspec.Struct):
    """What a client connects with; that it cannot be resumed by some `pid` is not an error."""

    token: str = ""
    pid: Any = None
    offset: Any = None


class Gate:
    """Authenticates users and checks that they may connect.

    Args:
        authenticate: verifies tokens.
        admission: the host's policy.
        bans: the banned users.
    """

    def __init__(self, authenticate: Authenticate, admission: Admission, bans: Bans) -> None:
        self._authenticate = authenticate
        self._revoked = admission.revoked
        self._bans = bans

    async def identify(self, token: str, peer: Peer) -> Identity:
        """Authenticate a token and check that its user may connect.

        Args:
            token: with or without the prefix `Bearer`.
            peer: the client that presents it.

        Raises:
            Unauthorized: they may not.
            UsageError: what verifies tokens returns something else than an `Identity`.
        """
        identity: object = await self._authenticate(strip_bearer(token), peer)
        if not isinstance(identity, Identity):
            raise UsageError(
                f"{name_of(self._authenticate)} returned {shown(identity)}, not an Identity"
            )
        await self.check(identity)
        return identity

    async def check(self, identity: Identity) -> None:
        """Check that a user may still connect.

        Raises:
            Unauthorized: they may not.
        """
        if self._revoked is not None and await self._revoked(identity):
            raise Unauthorized("the token has been revoked")
        await self._bans.check(identity.user_id)
