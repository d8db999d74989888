"""A tap between a client and the server: records traffic both ways, and passes it on."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from lbproto.connection.socket import LiveSocket
from lbproto.delivery.turn import step_out
from lbproto.frame import Frame
from lbproto.recorder.tape import Acknowledged, Befallen, Sent, Tape
from lbproto.server import Server
from lbproto.sessions.session import Session
from lbproto.wire.arguments import Arguments
from lbproto.wire.port import Handler, Inbound, Socket

__all__ = ["Tap"]


class Tap(Handler):
    """On the socket of a session, and on those that follow it.

    Args:
        tape: where it is kept.
        server: whose sessions are told what comes.
        over: called when the session is over.
    """

    def __init__(self, tape: Tape, server: Server, over: Callable[[Session], None]) -> None:
        self.tape = tape
        self._sessions: Handler = server.sessions
        self._clock = server.clock
        self._over = over
        self._socket: LiveSocket | None = None
        tape.session.watch(self._changed)

    def _changed(self) -> None:
        if self.tape.session.closed:
            self._over(self.tape.session)

    def connected(self, socket: Socket) -> None:
        """The session has a connection: the first one, or another one."""
        self._add(Befallen("(connected)", {"resumed": bool(self.tape.entries)}))
        self.put(socket)

    def put(self, socket: Socket | None) -> None:
        """Hear a socket, and no longer the one before it; None while there is none."""
        self._let_go()
        if isinstance(socket, LiveSocket):
            self._socket = socket
            caught_up = self.tape.session.push == socket.push
            socket.tap(self, partial(self._push, socket, socket.push))
            self._follow(caught_up=caught_up)

    def remove(self) -> None:
        """Hear no longer, for good."""
        self.tape.session.unwatch(self._changed)
        self._let_go()

    def _let_go(self) -> None:
        if self._socket is not None:
            caught_up = self.tape.session.push == self._socket.push
            self._socket.untap(self._sessions)
            self._follow(caught_up=caught_up)
            self._socket = None

    def _follow(self, *, caught_up: bool) -> None:
        """Have the session sent to by way of its socket as that is now."""
        session = self.tape.session
        if caught_up:
            if session.line is not None:
                step_out(session.line)
            session.catch_up()

    # What passes

    def _push(self, socket: LiveSocket, push: Callable[[Frame], int], frame: Frame) -> int:
        outcome = push(frame)
        self._add(Sent(frame, outcome, socket.format))
        return outcome

    def event(self, socket: Socket, inbound: Inbound) -> Coroutine[Any, Any, None]:
        self._add(inbound)
        return self._sessions.event(socket, inbound)

    def acknowledged(self, socket: Socket, request: int, arguments: Arguments) -> None:
        self._add(Acknowledged(request))
        self._sessions.acknowledged(socket, request, arguments)

    def closed(self, socket: Socket, reason: str) -> None:
        self._add(Befallen("(closed)", {"reason": reason}))
        self._sessions.closed(socket, reason)

    async def authenticate(self, socket: Socket, auth: Arguments) -> None:
        await self._sessions.authenticate(socket, auth)

    async def opened(self, socket: Socket) -> None:
        await self._sessions.opened(socket)

    def _add(self, entry: Inbound | Sent | Acknowledged | Befallen) -> None:
        self.tape.add(self._clock.monotonic(), entry)
