"""Plain WebSocket: one socket a connection, a frame an event."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from lbproto.connection.base import Connection, tell_closed
from lbproto.errors import RequestError, Unauthorized
from lbproto.messages import Error, ValidationError
from lbproto.timers import Timer
from lbproto.transport import CloseCode, Frame, Message, Peer, Transport
from lbproto.wire.arguments import Arguments, ObjectArguments
from lbproto.wire.formats import RequestId
from lbproto.wire.plain import PlainFormat
from lbproto.wire.port import Handler, Inbound, Refused, Socket

if TYPE_CHECKING:
    from lbproto.connection.runtime import Runtime

__all__ = ["AUTHENTICATE", "PlainConnection"]

AUTHENTICATE = "authenticate"


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
        self._socket = _PlainSocket(runtime.new_id(), format_, self)
        self._authenticating = token is not None
        when = runtime.clock.monotonic() + runtime.settings.connect_timeout
        self._deadline: Timer = runtime.timers.call_at(when, self._too_late)
        if token is not None:
            self.enqueue(partial(self._authenticate, ObjectArguments([{"token": token}]), None))

    def _receive(self, message: Message) -> None:
        try:
            request = self._format.decode(message)
        except RequestError as error:
            if self._socket.accepted or self._authenticating:
                self.enqueue(partial(self._malformed, error))  # answered in its turn
            else:
                self._refuse(error.message)
            return
        if self._socket.accepted or self._authenticating:
            inbound = Inbound(request.event, request.arguments, request.id)
            self.enqueue(partial(self._event, inbound))
        elif request.event == AUTHENTICATE:
            self._authenticating = True
            self.enqueue(partial(self._authenticate, request.arguments, request.id))
        else:
            self._refuse("authenticate first: the first event is authenticate {token}", request.id)

    async def _malformed(self, error: RequestError) -> None:
        if self._socket.accepted:
            self._socket.emit(ValidationError.event_name, ValidationError.of(error))

    async def _event(self, inbound: Inbound) -> None:
        if self._socket.accepted:
            await self._handler.event(self._socket, inbound)

    async def _authenticate(self, auth: Arguments, id_: RequestId | None) -> None:
        try:
            await self._handler.authenticate(self._socket, auth)
        except Refused as refused:
            self._refuse(refused.message, id_)
            return
        if self.closed:
            return
        self._deadline.cancel()
        self._socket.accepted = True
        await self._handler.opened(self._socket)
        if id_ is not None:
            self._socket.acknowledge(id_, {"ok": True})

    def _too_late(self) -> None:
        self._refuse("no token came in time")

    def _refuse(self, message: str, id_: RequestId | None = None) -> None:
        refusal = Error.of(Unauthorized(message), event=AUTHENTICATE)
        self._socket.push(self._format.event(Error.event_name, (refusal,), answers=id_))
        self.close(CloseCode.UNAUTHORIZED, "unauthorized")

    def _lost(self, reason: str) -> None:
        self._deadline.cancel()
        if self._socket.accepted:
            self._socket.accepted = False
            tell_closed(partial(self._handler.closed, self._socket, reason))


class _PlainSocket(Socket):
    __slots__ = ("_connection", "accepted", "push")

    def __init__(self, sid: str, format_: PlainFormat, connection: PlainConnection) -> None:
        super().__init__(sid, "", connection.peer, format_)
        self.accepted = False
        self.push: Callable[[Frame], int] = connection.outbox.push
        self._connection = connection

    def disconnect(self) -> None:
        self._connection.close(CloseCode.POLICY_VIOLATION, "disconnected by the server")

    def close(self, code: CloseCode, reason: str) -> None:
        self._connection.close(code, reason)
