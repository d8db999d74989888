"""Engine.IO v4, server side, without I/O: packets, polling payloads, and one session's states.

Source: the protocol's own text (socketio/socket.io, docs/engine.io-protocol/v4-current.md).

Theory of operation. A session starts on polling or on a websocket. On polling it may be offered a
websocket beside it: the *probe*. Only after the client's word ("5") does the session move there,
and from then on polling is refused. Heartbeats go from server to client. Every deadline is counted
from when the previous one was due, not from when it was noticed, so that a late timer never gives
a dead peer more time than the handshake promised.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable
from enum import Enum

import msgspec

from lbproto.frame import Message
from lbproto.wire.settings import ProtocolError, Settings

__all__ = [
    "CLOSE",
    "MESSAGE",
    "NOOP",
    "OPEN",
    "PING",
    "PONG",
    "UPGRADE",
    "Engine",
    "State",
    "decode_payload",
    "encode_payload",
]

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0123456"
_PROBE = "probe"
_SEPARATOR = "\x1e"  # between the packets of a polling payload
_BASE64 = "b"  # marks a binary packet in a polling payload


def encode_payload(packets: Iterable[Message]) -> str:
    """Packets as the body of one polling response."""
    return _SEPARATOR.join(
        packet if isinstance(packet, str) else _BASE64 + b64encode(packet).decode()
        for packet in packets
    )


def decode_payload(body: bytes) -> list[Message]:
    """The packets of one polling request's body.

    Raises:
        ProtocolError: the body is not UTF-8, or a binary packet is not base64.
    """
    try:
        return [
            b64decode(packet[1:], validate=True) if packet.startswith(_BASE64) else packet
            for packet in body.decode().split(_SEPARATOR)
        ]
    except UnicodeDecodeError:
        raise ProtocolError("the payload is not UTF-8") from None
    except (Base64Error, ValueError):
        raise ProtocolError("a binary packet is not base64") from None


class State(Enum):
    """Where a session is; the arrows are in `Engine`."""

    POLLING = "polling"
    PROBED = "probed"  # polling, and the websocket beside it has answered the probe
    WEBSOCKET = "websocket"
    CLOSED = "closed"


class Engine:
    """One session's protocol state.

    Args:
        sid: the session's id, opaque.
        settings: the times the handshake promises.
        now: monotonic seconds.
        websocket: whether the session starts on a websocket instead of polling.
    """

    __slots__ = ("_awaiting_pong", "_settings", "deadline", "sid", "state")

    def __init__(self, sid: str, settings: Settings, now: float, *, websocket: bool) -> None:
        self.sid = sid
        self.state = State.WEBSOCKET if websocket else State.POLLING
        self.deadline = now + settings.ping_interval
        self._settings = settings
        self._awaiting_pong = False

    def handshake(self) -> str:
        """The open packet, the first thing the client gets."""
        settings = self._settings
        body = {
            "sid": self.sid,
            "upgrades": [] if self.state is State.WEBSOCKET else ["websocket"],
            "pingInterval": round(settings.ping_interval * 1000),
            "pingTimeout": round(settings.ping_timeout * 1000),
            "maxPayload": settings.max_payload,
        }
        return OPEN + msgspec.json.encode(body).decode()

    def receive(self, packet: Message) -> Message | None:
        """Take a packet that came over the session's transport.

        Returns:
            The message it carries, or None for a packet that only Engine.IO cares about. After a
            close packet `state` is `CLOSED`.

        Raises:
            ProtocolError: no such packet, or not one a client may send now.
        """
        if isinstance(packet, bytes):
            return packet
        kind = packet[:1]
        if kind == MESSAGE:
            return packet[1:]
        if kind == PONG:
            if self._awaiting_pong:
                self._awaiting_pong = False
                self.deadline += self._settings.ping_interval - self._settings.ping_timeout
        elif kind == CLOSE:
            self.state = State.CLOSED
        elif kind != NOOP:
            raise ProtocolError(f"unexpected packet {kind!r}")
        return None

    def receive_probe(self, packet: Message) -> str | None:
        """Take a packet that came over the websocket beside a polling session.

        Returns:
            What to answer there, or None once the session has moved (`state` is `WEBSOCKET`).

        Raises:
            ProtocolError: not a probe; that websocket is to be closed, the session lives on.
        """
        if self.state is State.POLLING and packet == PING + _PROBE:
            self.state = State.PROBED
            return PONG + _PROBE
        if self.state is State.PROBED and packet == UPGRADE:
            self.state = State.WEBSOCKET
            return None
        raise ProtocolError("not an upgrade")

    def probe_lost(self) -> None:
        """The websocket beside the session is gone before the session moved to it."""
        if self.state is State.PROBED:
            self.state = State.POLLING

    def tick(self, now: float) -> bool:
        """The deadline has come: ask for a sign of life, or find that none came.

        Returns:
            Whether to send a ping now. Where the peer is dead, `state` is `CLOSED`.
        """
        if now < self.deadline or self.state is State.CLOSED:
            return False
        if self._awaiting_pong:
            self.state = State.CLOSED
            return False
        self._awaiting_pong = True
        self.deadline += self._settings.ping_timeout
        return True

    def excuse(self, now: float) -> None:
        """We did not read from the peer for a while: it gets the whole time again."""
        if self._awaiting_pong:
            self.deadline = now + self._settings.ping_timeout
