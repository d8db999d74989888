"""Indexes of one node's sessions."""

from __future__ import annotations

from collections.abc import Iterator

from lbproto.sessions.session import Session

__all__ = ["Directory"]


class Directory:
    """This node's sessions, by id, user and private id."""

    def __init__(self) -> None:
        self._by_sid: dict[str, Session] = {}
        self._by_pid: dict[str, Session] = {}
        self._by_user: dict[str, dict[Session, None]] = {}

    def __len__(self) -> int:
        return len(self._by_sid)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._by_sid.values()))

    def get(self, sid: str) -> Session | None:
        """The session of that id, if there is one here."""
        return self._by_sid.get(sid)

    def of(self, user_id: str) -> list[Session]:
        """A user's sessions, those away too, in the order they began."""
        return list(self._by_user.get(user_id, ()))

    def resumable(self, pid: str) -> Session | None:
        """The session that can be resumed here by that private id."""
        return self._by_pid.get(pid)

    def all_resumable(self) -> list[Session]:
        """All that can be resumed here."""
        return list(self._by_pid.values())

    def add(self, session: Session) -> None:
        """A session begins."""
        self._by_sid[session.sid] = session
        if session.pid is not None:
            self._by_pid[session.pid] = session
        self._by_user.setdefault(session.user_id, {})[session] = None

    def withdraw(self, session: Session) -> None:
        """A session cannot be resumed here any more; as another node's it may come back, anew."""
        if session.pid is not None and self._by_pid.get(session.pid) is session:
            del self._by_pid[session.pid]

    def remove(self, session: Session) -> None:
        """A session is over."""
        self.withdraw(session)
        if self._by_sid.get(session.sid) is session:
            del self._by_sid[session.sid]
        own = self._by_user[session.user_id]
        del own[session]
        if not own:
            del self._by_user[session.user_id]
