"""One client's session: who it is, and how to reach it."""

from __future__ import annotations

from collections.abc import Callable

from lbproto.auth import Identity
from lbproto.outbox import Outcome
from lbproto.transport import Frame
from lbproto.wire.formats import WireFormat
from lbproto.wire.port import Socket

__all__ = ["Session"]


class Session:
    """A user's session over one socket.

    Attributes:
        sid: its id, the client's `socket.id`.
        identity: whose it is.
        socket: its place on the wire.
        format: how the client reads events.
        push: queues a frame for it; returns an `Outcome`.
        closed: whether the client is gone.
    """

    __slots__ = ("closed", "format", "identity", "push", "sid", "socket")

    def __init__(self, identity: Identity, socket: Socket) -> None:
        self.sid: str = socket.sid
        self.identity = identity
        self.socket = socket
        self.format: WireFormat = socket.format
        self.push: Callable[[Frame], int] = socket.push
        self.closed = False

    def end(self) -> None:
        """The client is gone: what is still meant for it goes nowhere."""
        self.closed = True
        self.push = _dropped

    @property
    def user_id(self) -> str:
        """Whose session it is."""
        return self.identity.user_id

    @property
    def personal_room(self) -> str:
        """The room that every session of this user is in."""
        return personal_room(self.user_id)


def _dropped(frame: Frame) -> int:  # noqa: ARG001 - the signature of a push
    return Outcome.DROPPED


def personal_room(user_id: str) -> str:
    """The name of a user's personal room."""
    return f"user:{user_id}"
