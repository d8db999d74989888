"""An Engine.IO connection: over polling, a websocket, or first the one and then the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from lbproto.connection.base import Connection, tell_closed
from lbproto.connection.polls import Polls
from lbproto.frame import Frame, Message, frame_of
from lbproto.ids import new_id
from lbproto.scheduling.timers import Timer
from lbproto.transport import CloseCode, Peer, Transport
from lbproto.wire.engineio import CLOSE, MESSAGE, NOOP, PING, Engine, State
from lbproto.wire.port import MessageHandler
from lbproto.wire.settings import ProtocolError

if TYPE_CHECKING:
    from lbproto.connection.runtime import Runtime

__all__ = ["EngineConnection", "OpenHandler"]

OpenHandler = Callable[["EngineConnection"], MessageHandler]
"""Makes what stands on a new connection."""

_PING_FRAME = frame_of(PING.encode())


class EngineConnection(Connection):
    """One Engine.IO session.

    Args:
        runtime: what it shares with the other connections.
        peer: who it is.
        open_handler: makes what stands on it.
        websocket: the transport it starts on; None for polling.
    """

    __slots__ = ("_above", "_due", "_heartbeat", "engine", "polls")

    def __init__(
        self,
        runtime: Runtime,
        peer: Peer,
        open_handler: OpenHandler,
        websocket: Transport | None = None,
    ) -> None:
        self.polls = Polls() if websocket is None else None
        super().__init__(runtime, peer, _transport(self.polls, websocket))
        now = runtime.clock.monotonic()
        self.engine = Engine(new_id(), runtime.settings, now, websocket=websocket is not None)
        runtime.engines[self.engine.sid] = self
        self._schedule()
        handshake = self.engine.handshake()
        self.push(frame_of(handshake.encode()))
        self._above = open_handler(self)

    def send(self, *messages: Message) -> int:
        """Queue messages, each as a packet of its own; see `Outbox.push`."""
        return self.push(
            Frame.of(MESSAGE + each if isinstance(each, str) else each for each in messages)
        )

    def _receive(self, message: Message) -> None:
        if isinstance(message, str) and message[:1] == MESSAGE:  # nearly all
            self._above.message(message[1:])
        elif (data := self.engine.receive(message)) is not None:
            self._above.message(data)
        elif self.engine.state is State.CLOSED:
            self._closed_by_peer()
        elif self.engine.deadline < self._due:  # a pong, and the next ping is before its time-out
            self._heartbeat.cancel()
            self._schedule()

    def _closed_by_peer(self) -> None:
        if self.polls is not None:
            self.polls.end(NOOP)
        self.lost("transport close")
        self.runtime.start_soon(partial(self.transport.close, CloseCode.NORMAL, ""))

    def fail(self, code: CloseCode, reason: str) -> None:
        if self.polls is not None:
            self.lost(reason)  # polling cannot tell the peer more than the answer to its request
        else:
            super().fail(code, reason)

    def receive_probe(self, packet: Message, websocket: Transport) -> str | None:
        """Take a packet from a websocket that wants to take over from polling.

        Returns:
            What to answer on that websocket; None once it has taken over.

        Raises:
            ProtocolError: it is to be closed; the session goes on polling.
        """
        if self.closed or self.polls is None:
            raise ProtocolError("nothing to upgrade")
        answer = self.engine.receive_probe(packet)
        if answer is not None:
            self.polls.release()  # ends the poll under way, so that the client can stop polling
            return answer
        self.transport = websocket
        self.polls.hand_over(websocket)
        self.polls = None
        return None

    def probe_lost(self) -> None:
        """The websocket that was probing is gone."""
        self.engine.probe_lost()
        if self.polls is not None:
            self.polls.resume()

    def _schedule(self) -> None:
        self._due = self.engine.deadline
        self._heartbeat: Timer = self.runtime.timers.call_at(self._due, self._tick)

    def _tick(self) -> None:
        now = self.runtime.clock.monotonic()
        if self.congested:
            self.engine.excuse(now)
        if self.engine.tick(now):
            self.push(_PING_FRAME)
        if self.engine.state is State.CLOSED:
            self.outbox.close()
            self.runtime.start_soon(self._end_silent_peer)
            return
        self._schedule()

    def expire(self) -> None:
        """Notice now a heartbeat that is overdue, whether or not the timer has come to it."""
        if self.runtime.clock.monotonic() >= self.engine.deadline:
            self._heartbeat.cancel()
            self._tick()

    async def _end_silent_peer(self) -> None:
        await self._finish(CloseCode.GOING_AWAY, "ping timeout")

    def _lost(self, reason: str) -> None:
        self.engine.state = State.CLOSED
        self._heartbeat.cancel()
        self.runtime.engines.pop(self.engine.sid, None)
        if self.polls is not None:
            self.polls.end(CLOSE)
        tell_closed(partial(self._above.closed, reason))


def _transport(polls: Polls | None, websocket: Transport | None) -> Transport:
    transport = polls or websocket
    assert transport is not None  # noqa: S101 - one of them is made above
    return transport
