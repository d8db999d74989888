"""Plain WebSocket: one socket a connection, a frame an event."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from lbproto.connection.base import Connection, tell_closed
from lbproto.connection.intake import Rest
from lbproto.connection.socket import LiveSocket
from lbproto.errors import Overloaded, RequestError, Unauthorized
from lbproto.frame import Message
from lbproto.ids import new_id
from lbproto.messages import Error, ValidationError
from lbproto.scheduling.timers import Timer
from lbproto.transport import CloseCode, Peer, Transport
from lbproto.wire.arguments import Arguments, ObjectArguments
from lbproto.wire.formats import RequestId
from lbproto.wire.plain import ACKNOWLEDGEMENT, PlainFormat
from lbproto.wire.port import (
    CLIENT_LEFT,
    SERVER_LEFT,
    Handler,
    Inbound,
    Refused,
    Unavailable,
)

if TYPE_CHECKING:
    from lbproto.connection.runtime import Runtime

__all__ = ["AUTHENTICATE", "PlainConnection"]

_LEAVING = (CloseCode.NORMAL, CloseCode.GOING_AWAY)
"""What a peer closes with that means to: any other end may be the network's."""

AUTHENTICATE = "authenticate"
_AUTHENTICATE_FIRST = "authenticate first: the first event is authenticate {token}"


class PlainConnection(Connection):
    """One plain WebSocket.

    Args:
        runtime: what it shares with the other connections.
        peer: who it is.
        transport: the websocket.
        handler: what the socket is for.
        format_: the subprotocol that was agreed on.
        token: what the client showed with the handshake; None where it will send `authenticate`.
    """

    __slots__ = ("_authenticating", "_deadline", "_format", "_handler", "_socket")

    def __init__(
        self,
        runtime: Runtime,
        peer: Peer,
        transport: Transport,
        handler: Handler,
        format_: PlainFormat,
        token: str | None,
    ) -> None:
        super().__init__(runtime, peer, transport)
        self._handler = handler
        self._format = format_
        self._socket = _PlainSocket(new_id(), format_, self, handler)
        self._authenticating = token is not None
        when = runtime.clock.monotonic() + runtime.settings.connect_timeout
        self._deadline: Timer = runtime.timers.call_at(when, self._too_late)
        if token is not None:
            resume = {name: peer.query[name] for name in ("pid", "offset") if name in peer.query}
            auth = ObjectArguments([{"token": token, **resume}])
            self.enqueue(partial(self._authenticate, auth, None))

    def _receive(self, message: Message) -> None:
        try:
            request = self._format.decode(message)
        except RequestError as error:
            if self._socket.accepted or self._authenticating:
                self.enqueue(partial(self._malformed, error))  # answered in its turn
            else:
                self._refuse(Unauthorized(error.message))
            return
        if request.name == ACKNOWLEDGEMENT and request.answers is not None:
            if self._socket.accepted:
                # At once, not in its turn: a request before it may be waiting for just this.
                self._socket.handler.acknowledged(self._socket, request.answers, request.arguments)
        elif self._socket.accepted or self._authenticating:
            if self.runtime.times_arrivals:
                request.arrived = self.arrival()
            self.enqueue(partial(self._event, request))
        elif request.name == AUTHENTICATE:
            self._authenticating = True
            self.enqueue(partial(self._authenticate, request.arguments, request.id))
        else:
            self._refuse(Unauthorized(_AUTHENTICATE_FIRST), id_=request.id)

    async def _malformed(self, error: RequestError) -> None:
        if self._socket.accepted and self.runtime.admits_malformed(self._socket):
            self._socket.emit(ValidationError.event_name, ValidationError.of(error))

    def _event(self, inbound: Inbound) -> Rest:
        socket = self._socket
        return socket.handler.event(socket, inbound) if socket.accepted else None

    async def _authenticate(self, auth: Arguments, id_: RequestId | None) -> None:
        try:
            await self._handler.authenticate(self._socket, auth)
        except Refused as refused:
            self.runtime.unauthorized += 1
            self._refuse(Unauthorized(refused.message), CloseCode.UNAUTHORIZED, id_)
            return
        except Unavailable as unavailable:
            self.runtime.unavailable += 1
            self._refuse(Overloaded(unavailable.message), CloseCode.TRY_AGAIN_LATER, id_)
            return
        if self.closed:
            return
        self._deadline.cancel()
        self._socket.accepted = True
        self.sockets.append(self._socket)
        await self._handler.opened(self._socket)
        if id_ is not None:
            self._socket.acknowledge(id_, {"ok": True})

    def _too_late(self) -> None:
        if self._authenticating:  # which is not a fault of its token
            error = Overloaded("Authentication takes too long now: come back soon")
            self._refuse(error, CloseCode.TRY_AGAIN_LATER)
        else:
            self._refuse(Unauthorized("no token came in time"))

    def _refuse(
        self,
        error: RequestError,
        code: CloseCode = CloseCode.UNAUTHORIZED,
        id_: RequestId | None = None,
    ) -> None:
        refusal = Error.of(error, event=AUTHENTICATE)
        self._socket.push(self._format.event(Error.event_name, (refusal,), answers=id_))
        self.close(code, error.code.lower().replace("_", " "))

    def left(self, code: int) -> None:
        if code in _LEAVING:
            self.lost(CLIENT_LEFT)
        else:
            super().left(code)

    def disconnect(self, code: CloseCode, reason: str) -> None:
        """End the socket for good: at once for whoever stands on it, then towards the peer."""
        self._end(SERVER_LEFT)
        self.close(code, reason)

    def _lost(self, reason: str) -> None:
        self._deadline.cancel()
        self._end(reason)

    def _end(self, reason: str) -> None:
        if self._socket.accepted:
            self._socket.accepted = False
            self.sockets.remove(self._socket)
            tell_closed(partial(self._socket.handler.closed, self._socket, reason))


class _PlainSocket(LiveSocket):
    __slots__ = ("_plain",)

    def __init__(
        self, sid: str, format_: PlainFormat, connection: PlainConnection, handler: Handler
    ) -> None:
        super().__init__(sid, "", format_, connection, handler)
        self._plain = connection

    def disconnect(
        self,
        code: CloseCode = CloseCode.POLICY_VIOLATION,
        reason: str = "disconnected by the server",
    ) -> None:
        self._plain.disconnect(code, reason)
