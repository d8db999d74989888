"""One peer's incoming messages: queued by the reader, taken by the server's worker.

Theory of operation. Whoever reads from the peer delivers each message here, without waiting for
anything. The server's worker takes them, one after the other, each with all that it asks for
(`work`). So the requests of a connection are answered in order. While one is being waited for,
those behind it wait in the inbox, but every message is parsed as it comes: heartbeats are answered,
acknowledgements arrive, an end is noticed. When too much waits, reading pauses.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from lbproto.frame import Message
from lbproto.transport import CloseCode, Transport
from lbproto.wire.settings import ProtocolError

if TYPE_CHECKING:
    from lbproto.connection.runtime import Runtime

__all__ = ["Intake", "Rest", "Work"]

logger = logging.getLogger(__name__)

Rest = Coroutine[Any, Any, None] | None
"""What of some work may have to wait; None where it is done."""

Work = partial[Rest] | partial[Coroutine[Any, Any, None]]
"""Something to do for a peer; a `partial`, whose arguments tell the log what takes long."""

_MAX_UTF8 = 4  # bytes a character takes


def _size_exceeds(message: Message, most: int) -> bool:
    """Whether a message is larger than `most` bytes; text is only encoded where it is close."""
    if isinstance(message, str) and len(message) <= most < len(message) * _MAX_UTF8:
        return len(message.encode(errors="surrogatepass")) > most
    return len(message) > most


class Intake(ABC):
    """The inbound half of a connection.

    Args:
        runtime: what it shares with the other connections.
        transport: the way to the peer.

    Attributes:
        closed: whether the connection is over; nothing is sent or handled then.
        closing: how it is to be closed, once that is due; nothing is taken then.
        woken: when the worker was last asked to take it, where the runtime times arrivals.
    """

    __slots__ = (
        "_close_when_idle",
        "_doing",
        "_inbox",
        "_paused",
        "_room",
        "_unread",
        "_waiting",
        "_working",
        "closed",
        "closing",
        "runtime",
        "transport",
        "woken",
    )

    def __init__(self, runtime: Runtime, transport: Transport) -> None:
        self.runtime = runtime
        self.transport = transport
        self.closed = False
        self.closing: tuple[CloseCode, str] | None = None
        self.woken = 0.0
        # Lists, because they are short and nearly always empty: a deque takes 760 bytes.
        self._unread: list[Message | int] = []
        self._inbox: list[Work] = []
        self._doing: Work | None = None  # what of it the worker is at
        self._working = False  # the worker has it, or is about to, and flushes when it is through
        self._waiting = False  # but not now: a request is being waited for
        self._paused = False  # the transport is not to read
        self._room: anyio.Event | None = None  # set when there is room again
        self._close_when_idle: tuple[CloseCode, str] | None = None

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
        if self.closed or self.closing is not None:
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

    def enqueue(self, work: Work) -> None:
        """Have something done after everything queued before it."""
        if self._close_when_idle is None:
            self._inbox.append(work)
            if not self._working:
                self._working = True
                self.runtime.work_for(self)

    def arrival(self) -> float:
        """When the message that is being taken came, or a little before: see `Inbound.arrived`."""
        if self._working and not self._waiting:
            return self.woken  # it may have been unread for as long as the worker was busy
        return self.runtime.clock.monotonic()

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
                    self._take(unread.pop(0))
                work = inbox.pop(0) if inbox else None
                if self._paused or self._room is not None:
                    self._resume_reading()
                try:
                    if work is not None and (rest := work()) is not None:
                        self._doing = work
                        if self._waiting:
                            self.runtime.waits.begin(self, work)
                        await rest
                except Exception:
                    logger.exception("a handler below the error middleware failed")
                    self.fail(CloseCode.INTERNAL_ERROR, "internal error")
        finally:
            if self._waiting:
                self.runtime.waits.end(self)
            self._working = self._waiting = False
            self._doing = None
        self.flush_soon()
        if self._close_when_idle is not None:
            self.close(*self._close_when_idle)

    def wait_begins(self) -> None:
        """Something that the peer asked for has to be waited for: see what else it has sent."""
        self._waiting = True
        if self._doing is not None:
            self.runtime.waits.begin(self, self._doing)
        self.flush_soon()
        while self._unread:
            self._take(self._unread.pop(0))
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

    def close_when_idle(self, code: CloseCode, reason: str) -> None:
        """Close once the requests taken so far have been answered; no other is taken."""
        self._close_when_idle = (code, reason)
        if not self._working:
            self.close(code, reason)

    def _empty(self) -> int | None:
        """Forget what waits.

        Returns:
            The code that the peer has closed with, where that was among it.
        """
        last = self._unread[-1] if self._unread else None
        self._inbox.clear()
        self._unread.clear()
        self._resume_reading()
        return last if isinstance(last, int) else None

    @abstractmethod
    def _receive(self, message: Message) -> None:
        """Parse a message; `ProtocolError` closes the connection."""

    @abstractmethod
    def flush_soon(self) -> None:
        """Send what is queued now, if that takes no waiting, or else by the writer."""

    @abstractmethod
    def close(self, code: CloseCode, reason: str) -> None:
        """Close after what is queued has been sent; nothing more is taken from the peer."""

    @abstractmethod
    def fail(self, code: CloseCode, reason: str) -> None:
        """Close because of what the peer did; what is queued may still reach it."""

    @abstractmethod
    def left(self, code: int) -> None:
        """The peer has closed the websocket with this close code, or is gone without one (1006)."""
