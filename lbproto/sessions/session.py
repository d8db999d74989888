"""A client's session: its user and how to reach it. It outlives its connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lbproto.auth import Identity
from lbproto.delivery.log import Lane
from lbproto.delivery.outbox import Pushed
from lbproto.delivery.turn import Line, step_out
from lbproto.frame import Frame
from lbproto.limits.quotas import Quota
from lbproto.wire.formats import WireFormat
from lbproto.wire.port import Socket

__all__ = ["Session", "personal_room"]


class Session:
    """A user's session.

    Args:
        identity: the user's identity.
        socket: the one that it begins on; it is not reached by that until `attach` and `catch_up`.
        start: the offset of a client that has been sent nothing in it yet.
        began: when, in seconds since the Unix epoch.
        max_kept_bytes: what is kept of what was sent to it alone, for when it resumes.

    Attributes:
        sid: its id, the client's `socket.id`.
        pid: the private id that its client resumes it by; None where it cannot.
        identity: the user's identity, as of the last connection or renewal.
        socket: the client's socket; None while it is disconnected.
        format: the wire format of the client.
        push: queues a frame for it; returns a `Pushed`.
        line: its connection, once it has caught up, where that may be sent to with others.
        lane: the log's lane of events sent to it alone.
        start: the offset of a client that has been sent nothing in it yet.
        came: the offset by which it has come from another node, where that is what it is `start`
            here; None where it has begun here.
        began: when it began, in seconds since the Unix epoch.
        quota: its request counts; None if it has none, or no limits.
        closed: whether it is over.
    """

    __slots__ = (
        "__weakref__",
        "_watching",
        "began",
        "came",
        "closed",
        "format",
        "identity",
        "lane",
        "line",
        "pid",
        "push",
        "quota",
        "sid",
        "socket",
        "start",
    )

    def __init__(
        self, identity: Identity, socket: Socket, start: str, began: float, max_kept_bytes: int
    ) -> None:
        self.sid: str = socket.sid
        self.pid: str | None = socket.pid
        self.identity = identity
        self.socket: Socket | None = None
        self.format: WireFormat = socket.format
        self.push: Callable[[Frame], int] = _away
        self.line: Line | None = None
        self.lane = Lane(max_kept_bytes)
        self.start = start
        self.came: str | None = None
        self.began = began
        self.quota: Quota | None = None
        self.closed = False
        self._watching: dict[Callable[[], None], None] | None = None

    def offset_here(self, offset: Any) -> Any:
        """How far its client says that it has got: None, and another node's, for nothing here."""
        return self.start if offset is None or offset == self.came else offset

    def attach(self, socket: Socket) -> None:
        """The client has connected; events still wait until it has caught up."""
        self.socket = socket
        self.format = socket.format

    def catch_up(self) -> None:
        """The client has been sent everything it missed: send further events directly."""
        if self.socket is not None:
            self.push = self.socket.push
            self.line = self.socket.line
            self._tell_watching()

    def detach(self) -> None:
        """The client has lost its connection: events wait until it resumes."""
        self.withhold()
        self.socket = None

    def withhold(self) -> None:
        """The connection is about to be closed: events wait from now on."""
        self._step_out()
        self.push = _away

    def end(self) -> None:
        """End the session: events still sent to it are dropped."""
        self._step_out()
        self.closed = True
        self.socket = None
        self.push = _dropped
        self._tell_watching()

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever its client has caught up again, and when it is over."""
        if self._watching is None:
            self._watching = {}
        self._watching[changed] = None

    def unwatch(self, changed: Callable[[], None]) -> None:
        """Undo `watch`."""
        if self._watching is not None:
            self._watching.pop(changed, None)

    def _tell_watching(self) -> None:
        for changed in list(self._watching or ()):
            changed()

    def _step_out(self) -> None:
        if self.line is not None:
            step_out(self.line)
            self.line = None

    @property
    def user_id(self) -> str:
        """The id of the user whose session it is."""
        return self.identity.user_id

    @property
    def personal_room(self) -> str:
        """The room that every session of this user is in."""
        return personal_room(self.user_id)


def _away(frame: Frame) -> int:  # noqa: ARG001 - the signature of a push
    return Pushed.AWAY


def _dropped(frame: Frame) -> int:  # noqa: ARG001 - the signature of a push
    return Pushed.DROPPED


def personal_room(user_id: str) -> str:
    """The name of a user's personal room."""
    return f"user:{user_id}"
