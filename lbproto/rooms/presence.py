"""Which users a room has told its members about: joined and left, in pairs. Pure.

Theory of operation. Presence speaks of users, not of sessions: a user has joined when the first
session of theirs comes, on whichever node, and has left when the last one goes. Each node tells its
own members, by what it knows of all nodes; so nobody is told twice, and nodes need not agree on who
was first. A room that has grown past `QUIET_ABOVE` sessions stops announcing who joins until it is
below `LOUD_BELOW` again (the gap keeps it from flapping); `left` is still told for everyone whose
`joined` was, so that no member keeps a ghost.
"""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["LOUD_BELOW", "QUIET_ABOVE", "Presence"]

QUIET_ABOVE = 200
LOUD_BELOW = 150


class Presence:
    """One announcing room's users, on all nodes."""

    __slots__ = ("_announced", "_elsewhere", "_quiet", "_sessions", "_total")

    def __init__(self) -> None:
        self._sessions: dict[str, int] = {}  # of each user, on this node
        self._elsewhere: dict[str, int] = {}  # other nodes that have one
        self._announced: set[str] = set()
        self._total = 0
        self._quiet = False

    def __len__(self) -> int:
        """Sessions in the room."""
        return self._total

    @property
    def here(self) -> Collection[str]:
        """The users who have a session on this node."""
        return self._sessions.keys()

    # On this node

    def join(self, user: str) -> bool:
        """A session of `user` has come.

        Returns:
            Whether the others are to be told.
        """
        self.grow(1)
        return self._add(self._sessions, user)

    def leave(self, user: str) -> bool:
        """A session of `user` that had come has gone.

        Returns:
            Whether the others are to be told.
        """
        self.grow(-1)
        return self._take(self._sessions, user)

    # On the others

    def grow(self, sessions: int) -> None:
        """So many more sessions are in the room; fewer where that is negative."""
        self._total += sessions
        if self._total > QUIET_ABOVE:
            self._quiet = True
        elif self._total < LOUD_BELOW:
            self._quiet = False

    def appear(self, user: str) -> bool:
        """One more of the other nodes has a session of `user`; it was counted by `grow`.

        Returns:
            Whether those on this node are to be told.
        """
        return self._add(self._elsewhere, user)

    def vanish(self, user: str) -> bool:
        """One of the other nodes has none any more.

        Returns:
            Whether those on this node are to be told.
        """
        return self._take(self._elsewhere, user)

    def _add(self, places: dict[str, int], user: str) -> bool:
        is_first = not self._is_there(user)
        places[user] = places.get(user, 0) + 1
        if not is_first or self._quiet:
            return False
        self._announced.add(user)
        return True

    def _take(self, places: dict[str, int], user: str) -> bool:
        left = places[user] - 1
        if left:
            places[user] = left
        else:
            del places[user]
        if self._is_there(user) or user not in self._announced:
            return False
        self._announced.remove(user)
        return True

    def _is_there(self, user: str) -> bool:
        return user in self._sessions or user in self._elsewhere
