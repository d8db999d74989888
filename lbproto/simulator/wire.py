"""One client's connection to a node, in virtual time: late, bounded, and lost at any moment."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from lbproto.connection.base import Connection
from lbproto.connection.engineio import EngineConnection
from lbproto.connection.plain import PlainConnection
from lbproto.connection.socketio import SocketIO
from lbproto.frame import Frame, Message
from lbproto.server import Server
from lbproto.simulator.broker import behind, latency
from lbproto.simulator.loop import Process, VirtualLoop
from lbproto.testing import Wire as Spoken
from lbproto.transport import CloseCode, Peer, Transport
from lbproto.wire.plain import SUBPROTOCOLS

__all__ = ["ABNORMAL", "SimulatedWire"]

ABNORMAL = 1006
"""What a websocket's end is called that nobody announced."""

_MAX_UNREAD = 4_096  # bytes that the network takes in before whoever sends has to wait


class SimulatedWire(Transport):
    """A websocket between a client and a node.

    Args:
        loop: of the world.
        random: decides how late each message is.
        process: the node's.
        direct: whether the node may write without waiting, as under uvicorn.
        receive: called with each message from the node.
        closed: called when the node has closed it, or it was lost.

    Attributes:
        is_open: whether the client has not seen its end.
        number: counts wires and tasks.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        random: Random,
        process: Process,
        *,
        direct: bool,
        receive: Callable[[Message], None],
        closed: Callable[[int, str], None],
    ) -> None:
        self.is_open = True
        self.number = next(loop.numbers)
        self.ready = direct
        self.write = self._write
        self._loop = loop
        self._random = random
        self._process = process
        self._is_direct = direct
        self._receive = receive
        self._closed = closed
        self._is_held = False  # the client does not read
        self._unread: deque[tuple[Message, int]] = deque()
        self._unread_bytes = 0
        self._room: asyncio.Future[None] | None = None
        self._is_over = False  # the node has seen its end
        self._inwards = self._outwards = 0.0  # when the last message arrives
        self._connection: Connection | None = None
        self._is_paused = False  # the node does not read
        self._unsaid: deque[Message | int] = deque()

    def delay(self) -> float:
        """How long it takes to reach the node."""
        return latency(self._random)

    def open(self, server: Server, spoken: Spoken) -> None:
        """Reach the node: in its process."""
        self._connection = _connection(server, spoken, self)
        self._read()

    # The node's end

    async def send(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            while self._unread_bytes > _MAX_UNREAD and not self._is_over:
                if self._room is None:
                    self._room = self._loop.create_future()
                await asyncio.shield(self._room)
            if self._is_over:
                raise ConnectionResetError("the client is gone")
            for message in frame.messages:
                self._push(message)

    def _write(self, data: bytes) -> None:
        if self._is_over:
            raise RuntimeError("the client is gone")
        for message in Frame(data).messages:
            self._push(message)
        if self._unread_bytes > _MAX_UNREAD:
            self.ready = False
            self.unready()

    def buffered(self) -> int:
        return self._unread_bytes

    async def close(self, code: CloseCode, reason: str) -> None:
        if not self._is_over:
            self._end_here()
            self._later(partial(self._arrive_close, code, reason))

    def pause_reading(self) -> None:
        self._is_paused = True

    def resume_reading(self) -> None:
        self._is_paused = False
        self._process.call(self._read)

    def _push(self, message: Message) -> None:
        size = len(message)
        self._unread_bytes += size
        self._later(partial(self._arrive, message, size))

    def _later(self, arrive: Callable[[], None]) -> None:
        at = self._outwards = behind(self._outwards, self._loop.time() + latency(self._random))
        self._loop.call_at(at, arrive)

    def _arrive(self, message: Message, size: int) -> None:
        if self.is_open:
            self._unread.append((message, size))
            if not self._is_held:
                self._take()

    def _take(self) -> None:
        while self._unread and not self._is_held and self.is_open:
            message, size = self._unread.popleft()
            self._unread_bytes -= size
            self._receive(message)
        if self._unread_bytes <= _MAX_UNREAD:
            self._has_room()

    def _has_room(self) -> None:
        if self._is_direct and not self.ready:
            self._process.call(self._set_ready)
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    def _set_ready(self) -> None:
        self.ready = self._is_direct and not self._is_over and self._unread_bytes <= _MAX_UNREAD

    def _arrive_close(self, code: CloseCode, reason: str) -> None:
        if self.is_open:
            self._is_held = False
            self._take()
            self._lose(int(code), reason)

    def _end_here(self) -> None:
        self._is_over = True
        if self.ready:
            self.ready = False
            self.unready()
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # The client's end

    def say(self, *messages: Message) -> None:
        """Send messages, in order."""
        for message in messages:
            self._to_node(message)

    def leave(self) -> None:
        """Close it on purpose, behind what was said."""
        self._to_node(CloseCode.NORMAL)
        self.is_open = False

    def drop(self, noticed: float) -> None:
        """Lose it without a word.

        Args:
            noticed: seconds until the node notices.
        """
        if self.is_open:
            self._process.call_later(noticed, self._notice)
            self._lose(ABNORMAL, "lost")

    def sever(self) -> None:
        """The node is dead: the client notices."""
        self._is_over = True
        self._later(partial(self._lose, ABNORMAL, "the node is gone"))

    def hold(self) -> None:
        """Read no more, as a slow consumer does."""
        self._is_held = True

    def release(self) -> None:
        """Read again."""
        self._is_held = False
        self._take()

    def _lose(self, code: int, reason: str) -> None:
        if self.is_open:
            self.is_open = False
            self._closed(code, reason)

    def _to_node(self, message: Message | int) -> None:
        at = self._inwards = behind(self._inwards, self._loop.time() + latency(self._random))
        self._loop.call_at(at, self._process.call, self._deliver, message)

    def _deliver(self, message: Message | int) -> None:
        self._unsaid.append(message)
        self._read()

    def _read(self) -> None:
        connection = self._connection
        while self._unsaid and connection is not None and not self._is_paused and not self._is_over:
            message = self._unsaid.popleft()
            if isinstance(message, int):
                self._end_here()
            connection.deliver(message)

    def _notice(self) -> None:
        if not self._is_over:
            self._end_here()
            if self._connection is not None:
                self._connection.left(ABNORMAL)


class _Numbered:
    """A connection whose hash is the number of the wire: sets of them are gone through in order."""

    __slots__ = ()

    def __hash__(self) -> int:
        return self.transport.number  # type: ignore[attr-defined, no-any-return]


class _Plain(_Numbered, PlainConnection):
    __slots__ = ()


class _Engine(_Numbered, EngineConnection):
    __slots__ = ()


def _connection(server: Server, spoken: Spoken, transport: Transport) -> Connection:
    peer = Peer(address="10.0.0.1:1")
    kind, _, encoding = spoken.partition("-")
    if kind == "plain":
        format_ = SUBPROTOCOLS[f"lbproto.v1.{encoding}"]
        return _Plain(server.runtime, peer, transport, server.sessions, format_, None)
    sockets = partial(SocketIO, handler=server.sessions, namespaces=server.namespaces)
    return _Engine(server.runtime, peer, sockets, transport)
