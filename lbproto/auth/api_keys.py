"""Keys for machine clients: shown once when they are made, stored as digests only.

A key is `lbk_<id>_<secret>`: the prefix lets secret scanners find one that has leaked, the id finds
its record without a search, the secret is 256 random bits. So a plain SHA-256 is enough for the
store: there is no dictionary to try against it, as there is for passwords, for which one needs a
slow hash, at every connection.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from secrets import token_hex, token_urlsafe
from typing import Any

from lbproto.auth.base import Identity
from lbproto.clock import Clock, SystemClock
from lbproto.errors import Unauthorized
from lbproto.transport import Peer

__all__ = ["APIKey", "APIKeys"]

_KEY = re.compile(r"lbk_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_NOT_KNOWN = "the API key is missing or not known"
_NOBODYS = sha256(token_urlsafe(32).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class APIKey:
    """The stored digest of a key, from which the key cannot be computed.

    Attributes:
        id: public, part of the key.
        user_id: whose it is.
        digest: SHA-256 of the key's secret, in hexadecimal digits.
        claims: what goes into the identity, such as `applications`.
        expires_at: when its life ends, in seconds since the Unix epoch; None for never.
        disabled: whether it is accepted no more.
    """

    id: str
    user_id: str
    digest: str = field(repr=False)
    claims: Mapping[str, Any] = field(default_factory=dict)
    expires_at: float | None = None
    disabled: bool = False

    @classmethod
    def create(
        cls,
        user_id: str,
        *,
        claims: Mapping[str, Any] | None = None,
        expires_at: float | None = None,
    ) -> tuple[str, APIKey]:
        """Make a key.

        Returns:
            The key, to be given to its user and then forgotten, and the record, to be stored.
        """
        id_, secret = token_hex(8), token_urlsafe(32)
        record = cls(id_, user_id, _digest(secret), dict(claims or {}), expires_at)
        return f"lbk_{id_}_{secret}", record


Lookup = Callable[[str], Awaitable[APIKey | None]]


class APIKeys:
    """Accepts keys that `APIKey.create` has made.

    Args:
        keys: the records by their ids, or `async (id) -> APIKey | None` to look one up.
        clock: what expiry is measured by.
    """

    def __init__(self, keys: Mapping[str, APIKey] | Lookup, *, clock: Clock | None = None) -> None:
        self._keys = keys
        self._clock = clock or SystemClock()

    async def authenticate(self, token: str, peer: Peer) -> Identity:  # noqa: ARG002 - the port's
        match = _KEY.fullmatch(token)
        if match is None:
            raise Unauthorized(_NOT_KNOWN)
        key = await self._find(match[1])
        # Compared also where there is none, so that the time it takes does not tell ids.
        digest = _NOBODYS if key is None else key.digest
        if not compare_digest(digest, _digest(match[2])) or key is None or key.disabled:
            raise Unauthorized(_NOT_KNOWN)
        if key.expires_at is not None and key.expires_at <= self._clock.now():
            raise Unauthorized("the API key has expired")
        return Identity(key.user_id, key.claims, key.expires_at)

    async def _find(self, id_: str) -> APIKey | None:
        if isinstance(self._keys, Mapping):
            return self._keys.get(id_)
        return await self._keys(id_)


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
