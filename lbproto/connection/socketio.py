"""Socket.IO on an Engine.IO connection: several namespaces, each with a socket of its own."""

from __future__ import annotations

from functools import partial
from typing import Any

from lbproto.connection.base import tell_closed
from lbproto.connection.engineio import EngineConnection
from lbproto.connection.intake import Rest
from lbproto.connection.socket import LiveSocket
from lbproto.frame import Message
from lbproto.ids import new_id
from lbproto.scheduling.timers import Timer
from lbproto.transport import CloseCode
from lbproto.wire.arguments import Arguments
from lbproto.wire.msgpack import MsgpackDecoder, MsgpackFormat, msgpack_format
from lbproto.wire.port import (
    CLIENT_LEFT,
    SERVER_LEFT,
    Handler,
    Inbound,
    Refused,
    Unavailable,
)
from lbproto.wire.settings import ProtocolError
from lbproto.wire.socketio import JSONDecoder, JSONFormat, Packet, PacketType, json_format

__all__ = ["SocketIO"]

_Format = JSONFormat | MsgpackFormat
_EVENT = PacketType.EVENT  # looking it up each time would be felt


class SocketIO:
    """The packets of one connection.

    Args:
        connection: what they come over.
        handler: what the sockets are for.
        namespaces: those that a client may connect to.
    """

    __slots__ = (
        "_connection",
        "_deadline",
        "_decoder",
        "_handler",
        "_left",
        "_namespaces",
        "_sockets",
    )

    def __init__(
        self, connection: EngineConnection, handler: Handler, namespaces: frozenset[str]
    ) -> None:
        self._connection = connection
        self._handler = handler
        self._namespaces = namespaces
        self._decoder: JSONDecoder | MsgpackDecoder | None = None
        self._sockets: dict[str, _NamespaceSocket] = {}
        self._left: set[str] = set()  # namespaces we ended: the client may not know yet
        self._deadline: Timer | None = None
        self._expect_connect()

    # Packets

    def message(self, data: Message) -> None:
        """Take one message; what it asks for is queued on the connection."""
        packet = (self._decoder or self._recognise(data)).receive(data)
        if packet is None:
            return
        socket = self._sockets.get(packet.namespace)
        if packet.type is _EVENT and socket is not None and socket.accepted:
            if self._connection.runtime.times_arrivals:
                packet.arrived = self._connection.arrival()
            self._connection.enqueue(partial(self._event, socket, packet))
        else:
            self._control(packet, socket)

    def _recognise(self, data: Message) -> JSONDecoder | MsgpackDecoder:
        """The first packet tells which parser the client has: only one of them sends binary."""
        text = isinstance(data, str)
        self._decoder = JSONDecoder(self._connection.runtime.settings) if text else _MSGPACK
        return self._decoder

    def _control(self, packet: Packet, socket: _NamespaceSocket | None) -> None:
        if packet.type is PacketType.CONNECT:
            self._connect(packet)
        elif socket is None or not socket.accepted:
            if packet.namespace not in self._left:
                raise ProtocolError("a packet for a namespace that is not connected")
        elif packet.type is PacketType.ACK:
            assert isinstance(packet.id, int)  # noqa: S101 - the codec refuses one without
            # At once, not in its turn: a request before it may be waiting for just this.
            socket.handler.acknowledged(socket, packet.id, packet.arguments)
        elif packet.type is PacketType.DISCONNECT:
            self._remove(socket, CLIENT_LEFT)

    def _event(self, socket: _NamespaceSocket, inbound: Inbound) -> Rest:
        return socket.handler.event(socket, inbound) if socket.accepted else None

    # Connecting

    def _connect(self, packet: Packet) -> None:
        namespace = packet.namespace
        settings = self._connection.runtime.settings
        format_ = self._format(namespace)
        if namespace in self._sockets:
            raise ProtocolError("the namespace is connected already")
        if namespace not in self._namespaces:
            self._connection.push(format_.connect_error({"message": "Invalid namespace"}))
            return
        if len(self._sockets) >= settings.max_namespaces:
            raise ProtocolError("too many namespaces")
        self._left.discard(namespace)
        sid = new_id()
        socket = self._sockets[namespace] = _NamespaceSocket(
            sid, namespace, format_, self, self._handler
        )
        self._connection.enqueue(partial(self._authenticate, socket, packet.arguments))

    def _format(self, namespace: str) -> _Format:
        if namespace not in self._namespaces:  # one that a client made up: nothing to intern
            cls = JSONFormat if isinstance(self._decoder, JSONDecoder) else MsgpackFormat
            return cls(namespace)
        if isinstance(self._decoder, JSONDecoder):
            return json_format(namespace)
        return msgpack_format(namespace)

    async def _authenticate(self, socket: _NamespaceSocket, auth: Arguments) -> None:
        try:
            await self._handler.authenticate(socket, auth)
        except Refused as refused:
            self._connection.runtime.unauthorized += 1
            self._sockets.pop(socket.namespace, None)
            body: dict[str, Any] = {"message": refused.message}
            if refused.data is not None:
                body["data"] = refused.data
            self._connection.push(socket.wire.connect_error(body))
            return
        except Unavailable as unavailable:
            self._connection.runtime.unavailable += 1
            self._connection.close(CloseCode.TRY_AGAIN_LATER, unavailable.message)
            return
        if self._connection.closed or socket.namespace not in self._sockets:
            return
        socket.accepted = True
        self._connection.sockets.append(socket)
        if self._deadline is not None:
            self._deadline.cancel()
        self._connection.push(socket.wire.connect(socket.sid, socket.pid))
        await self._handler.opened(socket)

    def _expect_connect(self) -> None:
        """A connection without a socket is closed after a while."""
        runtime = self._connection.runtime
        when = runtime.clock.monotonic() + runtime.settings.connect_timeout
        self._deadline = runtime.timers.call_at(when, self._nobody_connected)

    def _nobody_connected(self) -> None:
        self._connection.fail(CloseCode.POLICY_VIOLATION, "no namespace was connected in time")

    # The end

    def disconnect(self, socket: _NamespaceSocket) -> None:
        """Tell the client that this socket is over, for good."""
        self._connection.push(socket.wire.disconnect())
        self._left.add(socket.namespace)
        self._remove(socket, SERVER_LEFT)

    def _remove(self, socket: _NamespaceSocket, reason: str) -> None:
        del self._sockets[socket.namespace]
        self._end(socket, reason)
        # One that is still being authenticated keeps nobody connected.
        if not any(other.accepted for other in self._sockets.values()):
            self._expect_connect()

    def _end(self, socket: _NamespaceSocket, reason: str) -> None:
        if socket.accepted:
            socket.accepted = False
            self._connection.sockets.remove(socket)
            tell_closed(partial(socket.handler.closed, socket, reason))

    def closed(self, reason: str) -> None:
        """The connection is gone, and every socket with it."""
        if self._deadline is not None:
            self._deadline.cancel()
        sockets, self._sockets = self._sockets, {}
        for socket in sockets.values():
            self._end(socket, reason)

    @property
    def connection(self) -> EngineConnection:
        """What the packets come over."""
        return self._connection


class _NamespaceSocket(LiveSocket):
    __slots__ = ("_packets", "wire")

    def __init__(
        self, sid: str, namespace: str, format_: _Format, packets: SocketIO, handler: Handler
    ) -> None:
        super().__init__(sid, namespace, format_, packets.connection, handler)
        self.wire = format_
        self._packets = packets

    def disconnect(
        self,
        code: CloseCode = CloseCode.POLICY_VIOLATION,  # noqa: ARG002 - the port's; others share
        reason: str = "",  # noqa: ARG002 - the websocket, which stays
    ) -> None:
        if self.accepted:
            self._packets.disconnect(self)


_MSGPACK = MsgpackDecoder()  # keeps nothing between packets: one serves all
