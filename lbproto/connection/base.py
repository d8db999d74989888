"""One live connection, whatever wire it speaks: what comes in, what goes out, and its end.

Inbound. Whoever reads from the peer delivers each message here, without waiting for anything. The
server's worker takes them, one after the other, each with all that it asks for (`work`). So the
requests of a connection are answered in order. While one is being waited for, those behind it wait
in the inbox, but every message is parsed as it comes: heartbeats are answered, acknowledgements
arrive, an end is noticed. When too much waits, reading pauses.

Outbound. Frames are queued in the outbox without waiting; the server's writer flushes it.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Coroutine
from sys import maxsize
from typing import TYPE_CHECKING, Any

import anyio

from lbproto.outbox import Outbox
from lbproto.prepared import joined
from lbproto.transport import TOO_SLOW, CloseCode, Frame, Message, Peer, Transport
from lbproto.turn import Group, step_out
from lbproto.wire.port import Socket
from lbproto.wire.settings import ProtocolError

if TYPE_CHECKING:
    from lbproto.connection.runtime import Runtime

__all__ = ["Connection", "Rest", "tell_closed"]

logger = logging.getLogger(__name__)

Rest = Coroutine[Any, Any, None] | None
"""What of some work may have to wait; None where it is done."""

Work = Callable[[], Rest]

_AT_ONCE = 65_536  # bytes sent without looking whether the peer takes them
_MAX_UTF8 = 4  # bytes a character takes


def _size_exceeds(message: Message, most: int) -> bool:
    """Whether a message is larger than `most` bytes; text is only encoded where it is close."""
    if isinstance(message, str) and len(message) <= most < len(message) * _MAX_UTF8:
        return len(message.encode(errors="surrogatepass")) > most
    return len(message) > most


def tell_closed(closed: Callable[[], None]) -> None:
    """Tell a program that something is over; what it raises is logged and stops nobody else."""
    try:
        closed()
    except Exception:
        logger.exception("a program failed when it was told of an end")


class Connection(ABC):
    """A peer that is connected.

    Args:
        runtime: what it shares with the other connections.
        peer: who it is.
        transport: the way to them.

    Attributes:
        outbox: what is still to be sent.
        sockets: those that clients are connected by; kept by the wire.
        closed: whether it is over; nothing is sent or handled then.
        writing: whether a task is sending now; kept by the writer.
        groups: those it is sent to with others in; kept by them.
        alone_until: the turn from which on it may be; likewise.
    """

    __slots__ = (
        "_close_after_flush",
        "_close_when_idle",
        "_drained",
        "_finished",
        "_inbox",
        "_paused",
        "_room",
        "_told_dropped",
        "_unread",
        "_waiting",
        "_working",
        "alone_until",
        "closed",
        "groups",
        "outbox",
        "peer",
        "runtime",
        "sockets",
        "transport",
        "writing",
    )

    def __init__(self, runtime: Runtime, peer: Peer, transport: Transport) -> None:
        settings = runtime.settings
        self.runtime = runtime
        self.peer = peer
        self.transport = transport
        self.outbox = Outbox(
            settings.max_queued_frames,
            settings.max_queued_bytes,
            self._mark,
            self._overflowed,
        )
        self.groups: dict[Group, None] = {}
        self.alone_until = 0
        self.sockets: list[Socket] = []
        self.closed = False
        self.writing = False
        self._unread: deque[Message | int] = deque()
        self._inbox: deque[Work] = deque()
        self._working = False  # the worker has it, or is about to
        self._waiting = False  # a request is being waited for
        self._paused = False  # the transport is not to read
        self._room: anyio.Event | None = None  # set when there is room again
        self._finished: anyio.Event | None = None  # set when the connection is over
        self._told_dropped = 0  # of the frames dropped so far, those that the client was told of
        self._drained: anyio.Event | None = None  # set when the outbox has run dry
        self._close_after_flush: tuple[CloseCode, str] | None = None
        self._close_when_idle: tuple[CloseCode, str] | None = None
        runtime.connections.add(self)

    # Inbound

    def deliver(self, received: Message | int) -> None:
        """Take what the peer has sent, in its turn: a message, or the code that it closes with.

        For transports without a pace of their own; where reading should pause, they are told so.
        """
        if not self._working:
            if not self.closed:
                self._unread.append(received)
                self._working = True
                self.runtime.work_for(self)
            return
        if self._waiting:
            self._take(received)
        else:
            self._unread.append(received)
        if self.congested:
            self.transport.pause_reading()
            self._paused = True

    def _take(self, received: Message | int) -> None:
        if isinstance(received, int):
            self.left(received)
        else:
            self.receive(received)

    def receive(self, message: Message) -> bool:
        """Take one message from the transport now; what it asks for is queued for `work`.

        Returns:
            Whether it could be read; where not, the connection is being closed.
        """
        if self.closed or self._close_after_flush is not None:
            return True
        most = self.runtime.settings.max_payload
        if len(message) * _MAX_UTF8 > most and _size_exceeds(message, most):
            self.fail(CloseCode.TOO_BIG, "the message is larger than a payload may be")
            return False
        try:
            self._receive(message)
        except ProtocolError as error:
            logger.debug("closing a connection: %s", error)
            self.fail(CloseCode.PROTOCOL_ERROR, str(error))
            return False
        except Exception:
            # It may be taken in one of the server's own tasks, which must not end with this.
            logger.exception("a message could not be taken")
            self.fail(CloseCode.INTERNAL_ERROR, "internal error")
            return False
        return True

    @abstractmethod
    def _receive(self, message: Message) -> None:
        """Parse a message; `ProtocolError` closes the connection."""

    def enqueue(self, work: Work) -> None:
        """Have something done after everything queued before it."""
        if self._close_when_idle is None:
            self._inbox.append(work)
            if not self._working:
                self._working = True
                self.runtime.work_for(self)

    @property
    def congested(self) -> bool:
        """Whether too much waits: do not read from the peer until `wait_ready`."""
        return len(self._inbox) + len(self._unread) >= self.runtime.settings.max_pending_requests

    async def wait_ready(self) -> None:
        """Wait until there is room, or the connection is over."""
        while self.congested and not self.closed:
            if self._room is None:
                self._room = anyio.Event()
            await self._room.wait()

    async def work(self) -> None:
        """Take what waits, in order; return when nothing does. Called by the worker only."""
        inbox, unread = self._inbox, self._unread
        try:
            while inbox or unread:
                if not inbox:
                    self._take(unread.popleft())
                work = inbox.popleft() if inbox else None
                if self._paused or self._room is not None:
                    self._resume_reading()
                try:
                    if work is not None and (rest := work()) is not None:
                        await rest
                except Exception:
                    logger.exception("a handler below the error middleware failed")
                    self.fail(CloseCode.INTERNAL_ERROR, "internal error")
        finally:
            self._working = self._waiting = False
        self._flush_soon()
        if self._close_when_idle is not None:
            self.close(*self._close_when_idle)

    def wait_begins(self) -> None:
        """Something that the peer asked for has to be waited for: see what else it has sent."""
        self._waiting = True
        self._flush_soon()
        while self._unread:
            self._take(self._unread.popleft())
        self._resume_reading()

    def _resume_reading(self) -> None:
        if self.congested:
            return
        if self._room is not None:
            self._room.set()
            self._room = None
        if self._paused:
            self._paused = False
            self.transport.resume_reading()

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
        if (
            not transport.ready
            or outbox.queued_bytes > _AT_ONCE
            or outbox.dropped > self._told_dropped
            or self._close_after_flush is not None
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
        if self._close_after_flush is not None and not self.closed:
            await self._finish(*self._close_after_flush)

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
        if not self._working or self._waiting:  # else it is flushed when the worker is through
            self.runtime.write_for(self)

    def _flush_soon(self) -> None:
        due = self.outbox.filled or self._close_after_flush is not None
        if due and not self.closed and not self.writing and not self.flush_nowait():
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
        """Close after what is queued has been sent; nothing more is taken from the peer."""
        if self.closed or self._close_after_flush is not None:
            return
        step_out(self)
        self.alone_until = maxsize
        self._close_after_flush = (code, reason)
        last = self._unread[-1] if self._unread else None
        self._empty_inbox()
        if isinstance(last, int):
            self.left(last)  # there is nobody to close towards
        else:
            self._mark()

    def close_when_idle(self, code: CloseCode, reason: str) -> None:
        """Close once the requests taken so far have been answered; no other is taken."""
        self._close_when_idle = (code, reason)
        if not self._inbox and not self._working:
            self.close(code, reason)

    def fail(self, code: CloseCode, reason: str) -> None:
        """Close because of what the peer did; what is queued may still reach it."""
        self.close(code, reason)

    def left(self, code: int) -> None:  # noqa: ARG002 - to some it tells whether the peer meant to
        """The peer has closed the websocket with this close code, or is gone without one (1006)."""
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
        self._empty_inbox()
        self._tell_drained()
        self.runtime.connections.discard(self)
        if self._finished is not None:
            self._finished.set()
        self._lost(reason)

    def _empty_inbox(self) -> None:
        self._inbox.clear()
        self._unread.clear()
        self._resume_reading()

    @abstractmethod
    def _lost(self, reason: str) -> None:
        """Tell whoever stands on this connection; called once."""

    async def wait_closed(self) -> None:
        """Wait until the connection is over."""
        if not self.closed:
            if self._finished is None:
                self._finished = anyio.Event()
            await self._finished.wait()
