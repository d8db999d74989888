"""A client's end of a connection: it speaks its wire, and writes down what it hears."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from lbproto.errors import UsageError
from lbproto.events import Event
from lbproto.frame import Message
from lbproto.messages import Authenticate, Connected, Error
from lbproto.server import Server
from lbproto.testing.checks import typed
from lbproto.testing.clock import VirtualClock, settle
from lbproto.testing.codecs import CODECS, PONG, Heard, Wire
from lbproto.testing.link import ABNORMAL, Link
from lbproto.testing.transcript import Direction, Entry, Transcript
from lbproto.transport import CloseCode
from lbproto.wire.port import Refused
from lbproto.wire.settings import ProtocolError

__all__ = ["Closed", "Line", "Outgoing"]

Outgoing = Event | Mapping[str, Any]
"""What a client sends: an event, or `{"event": name, "data": payload}` for anything else."""

_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, msgspec.MsgspecError)


@dataclass(frozen=True, slots=True)
class Closed:
    """How a connection ended.

    Attributes:
        code: the WebSocket close code; 1006 where there was none.
        reason: in words. After Socket.IO's DISCONNECT packet, which a stock client takes for
            final, it is `io server disconnect`.
    """

    code: int
    reason: str


class Line:
    """What a `Client` stands on.

    Attributes:
        transcript: what went over the connection.
        violations: how the server broke its contract, a line each.
        connected: the event that answered the last connection.
        sid: the session's id.
        recovered: whether the last `reconnect` took up the session of before.
        closed: how the connection ended; None while it is open.
        answer_pings: whether to answer Engine.IO's heartbeats.
    """

    def __init__(self, server: Server, token: str, wire: Wire, *, answer_pings: bool) -> None:
        if not isinstance(server.clock, VirtualClock):
            raise UsageError("a server under test needs a clock: Server(..., clock=VirtualClock())")
        self.transcript = Transcript()
        self.violations: list[str] = []
        self.connected: Connected
        self.sid = ""
        self.recovered = False
        self.closed: Closed | None = None
        self.answer_pings = answer_pings
        self._server = server
        self._clock = server.clock
        self._born = server.clock.monotonic()
        self._wire = wire
        self._auth = {"token": token}
        self._pid: str | None = None
        self._unread: list[Entry] = []  # what waits to be expected
        self._requests = 0
        self._answers: dict[int, Entry] = {}
        self._refused: Refused | None = None

    # What a test does with it

    def emit(self, event: Outgoing) -> None:
        """Send a request that asks for no acknowledgement.

        Raises:
            UsageError: the connection is over.
        """
        self._send(event)

    def acknowledge(self, event: Event, data: Any = None) -> None:
        """Acknowledge an event for which the server waits (`Server.emit_with_ack`).

        Args:
            event: what `expect` returned.
            data: what to answer.

        Raises:
            UsageError: the server does not wait for that.
        """
        asked = next((entry.id for entry in self.transcript if entry.typed is event), None)
        if asked is None:
            raise UsageError(f"the server does not wait for {event!r} to be acknowledged")
        self._record(">", "ack", data, re=asked)
        self._link.say(*self._codec.acknowledge(asked, data))

    def pause(self) -> None:
        """Stop reading, as a slow consumer does: what the server sends queues up there."""
        self._link.pause()

    def resume_reading(self) -> None:
        """Read again after `pause`."""
        self._link.resume()

    def drop(self) -> None:
        """Lose the connection without a word, as in a tunnel; no effect where it is over."""
        if self.closed is None:
            self._link.lose()
            self._end(">", ABNORMAL, "lost")

    def close(self) -> None:
        """Leave on purpose, after what has been sent: the session ends."""
        if self.closed is None:
            self._link.say(*self._codec.disconnect())
            self._link.leave()
            self._end(">", CloseCode.NORMAL, "left")

    async def reconnect(self) -> None:
        """Connect again as a stock client does: it shows which session it had, and how far it got.

        Where the connection is still open, it is dropped first. `recovered` then tells whether
        the session goes on.

        Raises:
            Refused: the server does not let the client in (`lbproto.wire.Refused`).
            AssertionError: the server says nothing.
        """
        await settle()
        self.drop()
        self._link.lose()  # also where the client has left, and the server is yet to read it
        await self.open()

    # Connecting

    async def open(self) -> None:
        """Connect; `lbproto.testing.connect` has done that.

        Raises:
            Refused: the server does not let the client in (`lbproto.wire.Refused`).
            AssertionError: the server says nothing.
        """
        self.closed = self._refused = None
        self._codec = CODECS[self._wire]()
        shown = {name: value for name, value in self._auth.items() if name != "token"}
        self._record("-", "(connect)", shown or None)
        self._link = Link(self._server, self._wire, self._receive, self._closed)
        if not self._codec.greets:
            self._link.say(*self._codec.connect(self._auth))
        await self._clock.advance_until(self._told, self._server.settings.connect_timeout)
        if self._refused is not None:
            raise self._refused
        for entry in self._unread:
            if isinstance(entry.typed, Connected):
                self._unread.remove(entry)
                self.connected = entry.typed
                return
        if self.closed is not None:
            raise Refused(self.closed.reason)
        raise self._failure("the server did not answer the connection")

    def _told(self) -> bool:
        """Whether the server has said if the client may connect."""
        return self.closed is not None or any(
            isinstance(entry.typed, Connected) for entry in self._unread
        )

    def _let_in(self, sid: str, pid: str | None) -> None:
        self.sid = sid
        self.recovered = pid is not None and pid == self._pid
        self._pid = pid
        if pid is not None:
            self._auth["pid"] = pid

    # The wire

    def _send(self, event: Outgoing, id_: int | None = None) -> str:
        if self.closed is not None:
            raise UsageError(f"the client cannot send, its connection is over: {self.closed}")
        if isinstance(event, Event):
            name, data = event.event_name, msgspec.to_builtins(event, builtin_types=(bytes,))
        else:
            name, data = event["event"], event.get("data")
        self._record(">", name, data, id=id_)
        self._link.say(*self._codec.event(name, data, id_))
        return name

    def _receive(self, message: Message) -> None:
        try:
            heard = self._codec.receive(message)
        except (*_UNREADABLE, ProtocolError) as error:
            self._record("<", "(unreadable)", repr(message), problem=str(error))
            return
        if heard is not None:
            self._hear(heard)

    def _hear(self, heard: Heard) -> None:
        match heard.kind:
            case "open":
                self._link.say(*self._codec.connect(self._auth))
            case "ping" if self.answer_pings:
                self._link.say(PONG)
            case "connect":
                self._let_in(heard.data["sid"], heard.data.get("pid"))
            case "refused":
                self._refused = Refused(heard.data["message"], heard.data.get("data"))
                self._hang_up("refused")
            case "disconnect":
                self._hang_up("io server disconnect")
            case "event":
                self._hear_event(heard)
            case "ack" if heard.re is not None:
                entry = self._record("<", "ack", heard.data, re=heard.re)
                self._answers.setdefault(heard.re, entry)

    def _hang_up(self, reason: str) -> None:
        """A Socket.IO client whose only socket is over has no use for its connection."""
        self._link.leave()
        self._end("<", CloseCode.NORMAL, reason)

    def _hear_event(self, heard: Heard) -> None:
        event, problem = self._typed(heard.event, heard.data)
        entry = self._record(
            "<",
            heard.event,
            heard.data,
            typed=event,
            offset=heard.offset,
            id=heard.asks,
            re=heard.re,
            problem=problem,
        )
        self._unread.append(entry)
        if heard.re is not None:
            self._answers.setdefault(heard.re, entry)
        if not self._codec.greets:
            self._hear_verdict(event)
        if heard.offset is not None:
            self._auth["offset"] = heard.offset

    def _hear_verdict(self, event: Event | None) -> None:
        """On plain WebSocket, events tell whether the client may connect."""
        if isinstance(event, Connected):
            self._let_in(event.sid, event.pid)
        elif isinstance(event, Error) and event.event == Authenticate.event_name:
            self._refused = Refused(event.message, {"code": event.code, "message": event.message})

    def _typed(self, event: str, data: Any) -> tuple[Event | None, str | None]:
        return typed(self._server.registry, event, data, str_keys=self._wire.endswith("json"))

    def _closed(self, code: CloseCode, reason: str) -> None:
        if self.closed is None:
            self._end("<", code, reason)

    def _end(self, direction: Direction, code: int, reason: str) -> None:
        self.closed = Closed(int(code), reason)
        self._record(direction, "(closed)", asdict(self.closed))

    # The record

    def _record(self, direction: Direction, event: str, data: Any = None, **more: Any) -> Entry:
        time = self._clock.monotonic() - self._born
        entry = Entry(time=time, direction=direction, event=event, data=data, **more)
        self.transcript.add(entry)
        if entry.problem is not None:
            self.violations.append(f"`{event}` at {time:.3f} s: {entry.problem}")
        return entry

    def _failure(self, what: str) -> AssertionError:
        """What to raise when a test fails: what went wrong, and what happened until then."""
        return AssertionError(f"{what}\n\n{self.transcript.tail()}")
