"""Pseudonyms of users in logs and metrics: stable, and not traceable to the user.

The pseudonym is a keyed hash, since ids of users can be guessed and hashed by anybody. By default
the key is drawn at random when the process starts; give all nodes the same one, and their logs
agree, today and tomorrow.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from secrets import token_bytes

__all__ = ["pseudonym", "use_key"]

_BYTES = 8
_MAX_CACHED = 4_096
_MAX_KEY = 64  # bytes, BLAKE2b's


def _keyed(key: bytes) -> Callable[[str], str]:
    @lru_cache(_MAX_CACHED)
    def hashed(user_id: str) -> str:
        data = user_id.encode(errors="surrogatepass")
        return blake2b(data, digest_size=_BYTES, key=key).hexdigest()

    return hashed


class _Key:
    hashed = staticmethod(_keyed(token_bytes(_MAX_KEY)))


def pseudonym(user_id: str) -> str:
    """What a user is called: 16 hexadecimal digits."""
    return _Key.hashed(user_id)


def use_key(key: bytes) -> None:
    """Hash by this key from now on; of any length, of which a longer one than 64 bytes is hashed.

    Args:
        key: a secret, the same on every node.
    """
    if len(key) > _MAX_KEY:
        key = blake2b(key).digest()
    _Key.hashed = staticmethod(_keyed(key))
