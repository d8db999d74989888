"""Where the server is, and the handshake that makes a connection there a WebSocket."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from lbproto.load.errors import LoadError

__all__ = ["Handshake", "NoWebSocket", "Target"]

_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_PORTS = {"ws": 80, "http": 80, "wss": 443, "https": 443}
_TIMEOUT_SECONDS = 10.0
_MAX_HEAD = 1 << 16
_TOKEN = "bearer."  # noqa: S105 - what a subprotocol with a token begins with


@dataclass(frozen=True, slots=True)
class Target:
    """A server's address.

    Attributes:
        url: as it was given.
        host: the name in it.
        port: its port, or that of its scheme.
        prefix: the path in it, without a slash at the end.
    """

    url: str
    host: str
    port: int
    prefix: str

    @classmethod
    def of(cls, url: str) -> Target:
        """Read an address.

        Args:
            url: `ws://` or `http://`; a path in it goes before that of the dialect.

        Raises:
            LoadError: it is not a server address, or one with TLS.
        """
        parts = urlsplit("")
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS[parts.scheme]
            host = parts.hostname or ""
        except (KeyError, ValueError):
            host, port = "", 0
        if not host:
            raise LoadError(f"{url!r} is not a server address; use ws://host:port")
        if parts.scheme in ("wss", "https"):
            raise LoadError(
                f"{url} is behind TLS, which is not supported: measure the server's own port, "
                "with ws://"
            )
        return cls(url, host, port, parts.path.rstrip("/"))

    def resolve(self) -> tuple[socket.AddressFamily, tuple[str, int]]:
        """The first of the host's addresses where somebody listens.

        Raises:
            LoadError: no address accepts connections.
        """
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise LoadError(f"cannot find {self.host!r} ({error}): is the address right?") from None
        why: OSError | None = None
        for family, _, _, _, address in found:
            at = (str(address[0]), self.port)
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.settimeout(_TIMEOUT_SECONDS)
                try:
                    probe.connect(at)
                except OSError as error:
                    why = error
                else:
                    return family, at
        if isinstance(why, ConnectionRefusedError):
            raise LoadError(f"nothing listens at {self.url}: start the server, or name another")
        raise LoadError(f"cannot connect to {self.url} ({why}): is the address right?")

    def is_local(self, family: socket.AddressFamily, address: tuple[str, int]) -> bool:
        """Whether this address is one of this machine."""
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((address[0], 0))  # which sends nothing
            except OSError:
                return False
        return True


class NoWebSocket(Exception):
    """The handshake has failed; the message says how, and what may help."""


class Handshake:
    """The opening of one WebSocket, RFC 6455 section 4.

    Args:
        target: whom it is sent to.
        path: what is asked for.
        subprotocols: what is offered.
    """

    __slots__ = ("_head", "_key", "_offered", "request")

    def __init__(self, target: Target, path: str, subprotocols: tuple[str, ...]) -> None:
        self._key = base64.b64encode(os.urandom(16))
        self._offered = {name for name in subprotocols if not name.startswith(_TOKEN)}
        self._head = b""
        host = f"[{target.host}]" if ":" in target.host else target.host
        lines = [
            f"GET {target.prefix}{path} HTTP/1.1",
            f"Host: {host}:{target.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {self._key.decode()}",
            "Sec-WebSocket-Version: 13",
        ]
        if subprotocols:
            lines.append(f"Sec-WebSocket-Protocol: {', '.join(subprotocols)}")
        self.request = "\r\n".join([*lines, "", ""]).encode()

    def answered(self, data: bytes) -> bytes | None:
        """Take what the server answers.

        Returns:
            What follows the answer already; None while the answer is not whole.

        Raises:
            NoWebSocket: it says no, or nothing that can be understood.
        """
        self._head += data
        if not b"HTTP/1.1 ".startswith(self._head[:9]):
            raise NoWebSocket("it does not speak HTTP/1.1: name a web server")
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if not end:
            if len(head) > _MAX_HEAD:
                raise NoWebSocket("its answer has no end: name a web server")
            return None
        status, *lines = head.decode("latin-1").split("\r\n")
        fields = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        self._check(status.split(" ", 2)[1], fields)
        return rest

    def _check(self, status: str, fields: dict[str, str]) -> None:
        if status != "101":
            raise NoWebSocket(_refusal(status))
        accept = base64.b64encode(hashlib.sha1(self._key + _ACCEPT, usedforsecurity=False).digest())
        if fields.get("sec-websocket-accept") != accept.decode():
            raise NoWebSocket("its handshake is wrong: name a WebSocket server")
        if "sec-websocket-extensions" in fields:
            raise NoWebSocket("it uses an extension that was not offered")
        chosen = fields.get("sec-websocket-protocol")
        if self._offered and chosen not in self._offered:
            which = " or ".join(sorted(self._offered))
            raise NoWebSocket(f"it does not speak {which}: choose another wire")


def _refusal(status: str) -> str:
    if status == "503":
        return "it takes no new connections now (HTTP 503): wait, or take fewer clients"
    if status in ("401", "403"):
        return f"it does not let it in (HTTP {status}): is the path right, and the token?"
    phrase = HTTPStatus(int(status)).phrase if status in _KNOWN else ""
    return f"it answers HTTP {status} {phrase}".rstrip() + ": is the address right?"


_KNOWN = {str(status.value) for status in HTTPStatus}
