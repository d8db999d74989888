"""One client: from its socket to its room, a frame at a time."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum

from lbproto.load.dialect import Dialect
from lbproto.load.errors import LoadError
from lbproto.load.frames import (
    CLOSE,
    PING,
    BadFrame,
    FrameReader,
    client_frame,
    close_frame,
    closing,
    pong_frame,
    reason_of,
)
from lbproto.load.poller import READ, WRITE, Poller
from lbproto.load.target import Handshake, NoWebSocket, Target

__all__ = ["Client", "Setting", "State", "quoted"]

_READ_BYTES = 1 << 16
_FEW_BYTES = 4096  # what the kernel keeps for a client that does not read
_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: no time is spent on the end of a connection
_QUOTED = 200  # characters of what the server said


class State(IntEnum):
    """The states of a client."""

    NEW = 0
    CONNECTING = 1
    UPGRADING = 2
    OPENING = 3
    CONNECTED = 4
    SUBSCRIBING = 5
    SUBSCRIBED = 6
    CLOSED = 7


_DOING = {
    State.NEW: "before connecting",
    State.CONNECTING: "connecting",
    State.UPGRADING: "asking for a WebSocket",
    State.OPENING: "being let in",
    State.CONNECTED: "when connected",
    State.SUBSCRIBING: "subscribing",
    State.SUBSCRIBED: "when subscribed",
    State.CLOSED: "after its end",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """The settings shared by all clients of a crowd.

    Attributes:
        target: the server.
        family: of its address.
        address: where it really is.
        dialect: what is spoken.
        poller: what the sockets are registered with.
    """

    target: Target
    family: socket.AddressFamily
    address: tuple[str, int]
    dialect: Dialect
    poller: Poller


class Client:
    """A connection and what state it is in.

    Args:
        name: for messages.
        number: from 0; the dialect may use it.
        setting: see `Setting`.
        slow: have the kernel keep little of what is not read.

    Attributes:
        fd: its file descriptor, once it is open.
        state: see `State`.
        room: the one it has subscribed to; empty: none.
        heard: the last message that it got while it was listening by itself.
        reader: has the frame that is not whole yet.
    """

    def __init__(self, name: str, number: int, setting: Setting, *, slow: bool = False) -> None:
        self.name = name
        self.state = State.NEW
        self.room = ""
        self.heard = b""
        self.reader = FrameReader()
        self.fd = -1
        self.number = number
        self._setting = setting
        self._slow = slow
        self._socket: socket.socket | None = None
        self._handshake = Handshake(
            setting.target, setting.dialect.path, setting.dialect.subprotocols
        )
        self._step = 0
        self._unsent = b""

    # What it does

    def open(self) -> None:
        """Begin to connect.

        Raises:
            LoadError: the system refuses.
        """
        try:
            self._socket = socket.socket(self._setting.family, socket.SOCK_STREAM)
            self.fd = self._socket.fileno()
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            if self._slow:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _FEW_BYTES)
            self.state = State.CONNECTING
            with suppress(BlockingIOError):
                self._socket.connect(self._setting.address)
        except OSError as error:
            raise self.failure(f"the system refuses ({error}): take fewer clients") from None
        self._setting.poller.register(self.fd, READ | WRITE)

    def subscribe(self, room: str) -> None:
        """Ask to be let into a room."""
        self.room = room
        self.state = State.SUBSCRIBING
        dialect = self._setting.dialect
        self.send(client_frame(dialect.say(dialect.subscribe, room=room)))

    def send(self, data: bytes) -> None:
        """Send bytes; those that the kernel does not take are sent when it does.

        Raises:
            LoadError: the connection is gone.
        """
        if self._unsent:
            self._unsent += data
            return
        assert self._socket is not None  # noqa: S101 - it is open
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise self.ended(b"", error) from None
        if sent < len(data):
            self._unsent = data[sent:]
            self._setting.poller.modify(self.fd, READ | WRITE)

    @property
    def receive(self) -> Callable[[int], bytes]:
        """Reads at most so many bytes, for whoever counts them; see `ended` for what it raises."""
        assert self._socket is not None  # noqa: S101 - it is open
        return self._socket.recv

    def stall(self) -> None:
        """Read nothing from now on."""
        self._setting.poller.unregister(self.fd)

    def leave(self) -> bool:
        """Say goodbye, if anybody hears it.

        Returns:
            Whether an answer may come: then read until the end.
        """
        if not State.CONNECTED <= self.state <= State.SUBSCRIBED or self._socket is None:
            return False
        dialect = self._setting.dialect
        goodbye = client_frame(dialect.say(dialect.leaving)) if dialect.leaving else b""
        with suppress(OSError):
            return self._socket.send(goodbye + close_frame()) > 0
        return False

    def close(self) -> None:
        """Have no connection any more."""
        self.state = State.CLOSED
        if self._socket is not None:
            self._socket.close()

    # What happens to it

    def ready(self, events: int) -> None:
        """Something has happened at the socket.

        Raises:
            LoadError: this client cannot go on.
        """
        assert self._socket is not None  # noqa: S101 - it is open
        if events & WRITE:
            if self.state is State.CONNECTING:
                self._connected()
                return
            self.flush()
        if not events & ~WRITE:
            return
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            raise self.ended(b"", error) from None
        if not data:
            raise self.ended(b"", None)
        self._received(data)

    def _connected(self) -> None:
        assert self._socket is not None  # noqa: S101 - it is open
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise self.ended(b"", OSError(number, os.strerror(number)))
        self.state = State.UPGRADING
        self._setting.poller.modify(self.fd, READ)
        self.send(self._handshake.request)

    def flush(self) -> None:
        """Send what the kernel did not take before."""
        data, self._unsent = self._unsent, b""
        self._setting.poller.modify(self.fd, READ)
        if data:
            self.send(data)

    def _received(self, data: bytes) -> None:
        if self.state is State.UPGRADING:
            try:
                rest = self._handshake.answered(data)
            except NoWebSocket as why:
                raise self.failure(f"{self._setting.target.url}: {why}") from None
            if rest is None:
                return
            data = rest
            self.state = State.OPENING
            self._open_further(None)
        try:
            frames = self.reader.feed(data)
        except BadFrame as error:
            raise self.failure(f"the server sends {error}") from None
        for opcode, payload in frames:
            if opcode == PING:
                self.send(pong_frame(payload))
            elif opcode == CLOSE:
                raise self.failure(f"the server closed the connection ({reason_of(payload)})")
            elif opcode < CLOSE:
                self._heard(payload)

    def _heard(self, message: bytes) -> None:
        self.heard = message
        dialect = self._setting.dialect
        if dialect.heartbeat is not None and message == dialect.heartbeat[0].encode():
            self.send(client_frame(dialect.heartbeat[1]))
        elif dialect.refusal(message):
            raise self.refused(message)
        elif self.state is State.OPENING:
            self._open_further(message)
        elif self.state is State.SUBSCRIBING and dialect.hears(message, dialect.subscribed):
            self.state = State.SUBSCRIBED

    def _open_further(self, message: bytes | None) -> None:
        """Take the next steps of the opening, as far as `message` leads; None: the first ones."""
        dialect = self._setting.dialect
        while self._step < len(dialect.opening):
            start, answer = dialect.opening[self._step]
            if start:
                if message is None or not dialect.hears(message, start):
                    return
                message = None
            self._step += 1
            if answer is not None:
                self.send(client_frame(dialect.say(answer, client=self.number)))
        self.state = State.CONNECTED

    # What it cannot do

    def refused(self, message: bytes) -> LoadError:
        """The server says no."""
        help_ = {State.OPENING: "is the token right?", State.SUBSCRIBING: "is the room right?"}
        what = help_.get(self.state, "ask for something that it allows")
        return self.failure(f"the server refuses: {quoted(message)}: {what}")

    def ended(self, last: bytes, error: OSError | None) -> LoadError:
        """The connection has ended.

        Args:
            last: the last bytes that came.
            error: None: in order.
        """
        told = closing(last)
        if told is not None:
            return self.failure(f"the server closed the connection ({reason_of(told)})")
        if isinstance(error, ConnectionRefusedError):
            return self.failure("nothing listens there any more: does the server still run?")
        why = f" ({error.strerror})" if error is not None and error.strerror else ""
        return self.failure(
            f"the connection was lost{why}: does the server still run, and take so many?"
        )

    def silent(self, seconds: float) -> LoadError:
        """Nothing has happened for so long."""
        heard = f"; the last it heard was {quoted(self.heard)}" if self.heard else ""
        return self.failure(f"nothing has happened for {seconds:.0f} s{heard}: is the wire right?")

    def failure(self, what: str) -> LoadError:
        """Something that this client cannot go on with."""
        return LoadError(f"{self.name}, {_DOING[self.state]}: {what}")


def quoted(message: bytes) -> str:
    """What the server said, as much as fits a sentence, without what would steer a terminal."""
    text = message[:_QUOTED].decode(errors="replace")
    shown = "".join(
        part if part.isprintable() else part.encode("unicode_escape").decode() for part in text
    )
    return shown + ("…" if len(message) > _QUOTED else "")
