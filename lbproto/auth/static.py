"""A fixed table of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from hmac import compare_digest

from lbproto.auth.base import Identity
from lbproto.errors import Unauthorized
from lbproto.transport import Peer

__all__ = ["StaticTokens"]


class StaticTokens:
    """A fixed table of tokens: for development, tests, and a handful of machine clients.

    Args:
        users: token to user id.

    Raises:
        UsageError: a user id is empty, or not a `str`.
    """

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = {token.encode(): Identity(user) for token, user in users.items()}

    async def authenticate(self, token: str, peer: Peer) -> Identity:  # noqa: ARG002 - the port's
        shown = token.encode(errors="surrogatepass")
        found = None
        for known, user in self._users.items():
            # Compared in constant time, and all of them: the answer's timing tells nothing.
            if compare_digest(known, shown):
                found = user
        if found is None:
            raise Unauthorized("the token is missing or not known")
        return found
