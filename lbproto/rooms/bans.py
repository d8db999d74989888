"""Users banned from the server or from a room, kept in the storage."""

from __future__ import annotations

from hashlib import sha256

from lbproto.backends.base import Storage
from lbproto.errors import Unauthorized

__all__ = ["Bans"]


class Bans:
    """The bans of one application.

    Args:
        storage: keeps them, for every node.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def add(self, user_id: str, room: str | None, seconds: float | None) -> None:
        """Ban a user from a room, or (None) from the server; for so long, or (None) for ever."""
        await self._storage.put(_key(user_id, room), b"", ttl=seconds)

    async def remove(self, user_id: str, room: str | None) -> None:
        """Lift a ban; no effect if the user is not banned."""
        await self._storage.delete(_key(user_id, room))

    async def check(self, user_id: str, room: str | None = None) -> None:
        """Raise if a user is banned.

        Raises:
            Unauthorized: the user is.
        """
        if await self._storage.get(_key(user_id, room)) is not None:
            raise Unauthorized(f"You are banned from this {'server' if room is None else 'room'}")


def _key(user_id: str, room: str | None) -> str:
    """Of bounded length, whatever the names are, and no two the same."""
    digest = sha256(user_id.encode(errors="surrogatepass"))
    if room is not None:
        digest.update(b"\0" + room.encode(errors="surrogatepass"))
    return f"lbproto:ban:{'server' if room is None else 'room'}:{digest.hexdigest()}"
