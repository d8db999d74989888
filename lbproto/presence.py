"""Which users a room has told its members about: joined and left, in pairs. Pure.

Theory of operation. Presence speaks of users, not of sessions: a user has joined when the first
session of theirs comes, and has left when the last one goes. A room that has grown past
`QUIET_ABOVE` sessions stops announcing who joins until it is below `LOUD_BELOW` again (the gap
keeps it from flapping); `left` is still told for everyone whose `joined` was, so that no member
keeps a ghost.
"""

from __future__ import annotations

__all__ = ["LOUD_BELOW", "QUIET_ABOVE", "Presence"]

QUIET_ABOVE = 200
LOUD_BELOW = 150


class Presence:
    """One announcing room's users."""

    __slots__ = ("_announced", "_quiet", "_sessions", "_total")

    def __init__(self) -> None:
        self._sessions: dict[str, int] = {}
        self._announced: set[str] = set()
        self._total = 0
        self._quiet = False

    def __len__(self) -> int:
        """Sessions in the room."""
        return self._total

    def join(self, user: str) -> bool:
        """A session of `user` has come.

        Returns:
            Whether the others are to be told.
        """
        self._total += 1
        if self._total > QUIET_ABOVE:
            self._quiet = True
        sessions = self._sessions.get(user, 0) + 1
        self._sessions[user] = sessions
        if sessions > 1 or self._quiet:
            return False
        self._announced.add(user)
        return True

    def leave(self, user: str) -> bool:
        """A session of `user` that had come has gone.

        Returns:
            Whether the others are to be told.
        """
        self._total -= 1
        if self._total < LOUD_BELOW:
            self._quiet = False
        sessions = self._sessions[user] - 1
        if sessions:
            self._sessions[user] = sessions
            return False
        del self._sessions[user]
        if user not in self._announced:
            return False
        self._announced.remove(user)
        return True
