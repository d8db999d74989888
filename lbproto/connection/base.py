"""A live connection, independent of its wire: sending, and closing.

What comes in is the intake's (`lbproto.connection.intake`). What goes out is queued in the outbox
without waiting, and sent when the worker is through with what the peer has asked for, or else by
the server's writer.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from sys import maxsize
from typing import TYPE_CHECKING

import anyio

from lbproto.connection.intake import Intake
from lbproto.delivery.outbox import Outbox
from lbproto.delivery.turn import Group, step_out
from lbproto.frame import Frame, joined
from lbproto.operations.statistics import OutboxStatistics
from lbproto.transport import TOO_SLOW, CloseCode, Peer, Transport
from lbproto.wire.port import Socket

if TYPE_CHECKING:
    from lbproto.connection.runtime import Runtime

__all__ = ["Connection", "tell_closed"]

logger = logging.getLogger(__name__)

_AT_ONCE = 65_536  # bytes sent without looking whether the peer takes them


def tell_closed(closed: Callable[[], None]) -> None:
    """Tell a program that something is over; what it raises is logged and stops nobody else."""
    try:
        closed()
    except Exception:
        logger.exception("a program failed when it was told of an end")


class Connection(Intake):
    """A peer that is connected.

    Args:
        runtime: what it shares with the other connections.
        peer: who it is.
        transport: the way to them.

    Attributes:
        outbox: what is still to be sent.
        sockets: those that clients are connected by; kept by the wire.
        writing: whether a task is sending now; kept by the writer.
        groups: those it is sent to with others in; kept by them.
        alone_until: the turn from which on it may be; likewise.
    """

    __slots__ = (
        "_drained",
        "_told",
        "_told_dropped",
        "alone_until",
        "groups",
        "outbox",
        "peer",
        "sockets",
        "writing",
    )

    def __init__(self, runtime: Runtime, peer: Peer, transport: Transport) -> None:
        super().__init__(runtime, transport)
        settings = runtime.settings
        self.peer = peer
        self.outbox = Outbox(
            settings.max_queued_frames,
            settings.max_queued_bytes,
            self._mark,
            self._overflowed,
        )
        self.groups: dict[Group, None] = {}
        self.alone_until = 0
        self.sockets: list[Socket] = []
        self.writing = False
        self._told: list[Callable[[], None]] = []  # when the connection is over
        self._told_dropped = 0  # of the frames dropped so far, those that the client was told of
        self._drained: anyio.Event | None = None  # set when the outbox has run dry
        runtime.connections.add(self)

    # Outbound

    def push(self, frame: Frame) -> int:
        """Queue a frame, behind what it is sent with others; see `Outbox.push`."""
        if self.groups:
            step_out(self)
        return self.outbox.push(frame)

    def flush_nowait(self) -> bool:
        """Send what is queued, if that takes no waiting and nothing else is due.

        Returns:
            False where it has to be `flush`ed.
        """
        outbox, transport = self.outbox, self.transport
        if not outbox.filled and self.closing is None:
            return True  # it has been sent meanwhile
        if (
            not transport.ready
            or outbox.queued_bytes > _AT_ONCE
            or outbox.dropped > self._told_dropped
            or self.closing is not None
        ):
            return False
        try:
            transport.write(joined(outbox.take()))
        except RuntimeError as error:
            logger.debug("a transport was closed unnoticed: %s", error)
            self.lost("transport close")
        if self._drained is not None:
            self._tell_drained()
        return True

    async def flush(self) -> None:
        """Send what is queued, and close if that is due. Called by the writer only."""
        try:
            while frames := self.outbox.take():
                if self.outbox.dropped > self._told_dropped:
                    self._tell_dropped()
                await self.transport.send(frames)
        except OSError:
            self.lost("transport close")
            return
        except Exception:
            # What it had taken is lost: to go on would be a gap that nobody is told of.
            await self._finish(CloseCode.INTERNAL_ERROR, "internal error")
            raise
        self._tell_drained()
        if self.closing is not None and not self.closed:
            await self._finish(*self.closing)

    def statistics(self) -> OutboxStatistics:
        """What waits to be sent, here and below, and what became of the rest."""
        unsent = 0 if self.closed else self.transport.buffered()
        return replace(self.outbox.statistics(), unsent_bytes=unsent)

    async def wait_drained(self) -> None:
        """Wait until the transport has taken everything that is queued, or the connection is over.

        For whoever has more to send than the outbox holds, or no wish to fill it.
        """
        step_out(self)
        if not self.closed and (len(self.outbox) or self.writing):
            if self._drained is None:
                self._drained = anyio.Event()
            await self._drained.wait()

    def _tell_drained(self) -> None:
        if self._drained is not None:
            self._drained.set()
            self._drained = None

    def _tell_dropped(self) -> None:
        """Tell the client, which takes what is sent again, that something of it is missing."""
        count = self.outbox.dropped - self._told_dropped
        self._told_dropped = self.outbox.dropped
        for socket in self.sockets:
            self.runtime.dropped(socket, count)

    def _mark(self) -> None:
        if self._waiting or not self._working:  # else it is flushed when the worker is through
            self.runtime.write_for(self)

    def flush_soon(self) -> None:
        if not (self.closed or self.writing or self.flush_nowait()):
            self.runtime.write_for(self)

    def _overflowed(self) -> None:
        # Called from within a broadcast: the end is left to a task, so that no room changes now.
        self.runtime.start_soon(self._end_slow_consumer)

    async def _end_slow_consumer(self) -> None:
        logger.info("closing a slow consumer: its outbox is full")
        self.runtime.slow_consumers += 1
        await self._finish(*TOO_SLOW)

    # The end

    def close(self, code: CloseCode, reason: str) -> None:
        if self.closed or self.closing is not None:
            return
        step_out(self)
        self.alone_until = maxsize
        self.closing = (code, reason)
        code_of_peer = self._empty()
        if code_of_peer is None:
            self._mark()
        else:
            self.left(code_of_peer)  # there is nobody to close towards

    def fail(self, code: CloseCode, reason: str) -> None:
        self.close(code, reason)

    def left(self, code: int) -> None:  # noqa: ARG002 - to some it tells whether the peer meant to
        self.lost("transport close")

    async def _finish(self, code: CloseCode, reason: str) -> None:
        self.lost(reason)
        await self.transport.close(code, reason)

    def lost(self, reason: str) -> None:
        """The connection is over, whoever ended it; idempotent."""
        if self.closed:
            return
        self.closed = True
        self.outbox.close()
        self.runtime.past += self.outbox.statistics()
        self._empty()
        self._tell_drained()
        self.runtime.connections.discard(self)
        for tell in self._told:
            tell()
        self._lost(reason)

    @abstractmethod
    def _lost(self, reason: str) -> None:
        """Tell whoever stands on this connection; called once."""

    def when_closed(self, tell: Callable[[], None]) -> None:
        """Call this once the connection is over, or now; it must neither block nor raise."""
        if self.closed:
            tell()
        else:
            self._told.append(tell)

    async def wait_closed(self) -> None:
        """Wait until the connection is over."""
        over = anyio.Event()
        self.when_closed(over.set)
        await over.wait()
