"""A client's socket on a live connection, independent of the wire."""

from __future__ import annotations

from collections.abc import Callable

from lbproto.connection.base import Connection
from lbproto.delivery.turn import Line
from lbproto.frame import Frame
from lbproto.operations.statistics import OutboxStatistics
from lbproto.transport import CloseCode
from lbproto.wire.formats import WireFormat
from lbproto.wire.port import Handler, Socket

__all__ = ["LiveSocket"]


class LiveSocket(Socket):
    """A socket that a connection carries.

    Args:
        sid: its id.
        namespace: "/", "/name", or "" on plain WebSocket.
        format_: how its client reads events.
        connection: what carries it.
        handler: who is told of what its client sends.

    Attributes:
        accepted: whether the client has been let in, and is not gone.
        handler: who is told; another one where it is tapped.
        push: queues a frame on the connection.
        line: the connection; None where it is sent to by itself always.
    """

    __slots__ = ("_connection", "accepted", "handler", "line", "push")

    def __init__(
        self,
        sid: str,
        namespace: str,
        format_: WireFormat,
        connection: Connection,
        handler: Handler,
    ) -> None:
        super().__init__(sid, namespace, connection.peer, format_)
        self._connection = connection
        self.accepted = False
        self.untap(handler)

    def tap(self, handler: Handler, push: Callable[[Frame], int]) -> None:
        """Insert a tap that sees and passes on all traffic of this client.

        A frame for many goes past whoever listens to one; so this one is sent to by itself.
        """
        self.handler = handler
        self.push = push
        self.line: Line | None = None

    def untap(self, handler: Handler) -> None:
        """Remove the tap."""
        self.handler = handler
        self.push: Callable[[Frame], int] = self._connection.push
        self.line = self._connection

    def close(self, code: CloseCode, reason: str) -> None:
        self._connection.close(code, reason)

    async def wait_drained(self) -> None:
        await self._connection.wait_drained()

    def statistics(self) -> OutboxStatistics:
        return self._connection.statistics()
