"""The opening handshake as nearly every client sends it, RFC 6455 section 4. Pure.

Theory of operation. A request that is just as the RFC has it is read here in one go. Every other
one, and so every one that has to be refused, is left to a complete parser: nothing is refused here.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha1
from typing import NamedTuple

__all__ = ["Handshake", "acceptance", "read_handshake"]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MAX_REQUEST = 8_192  # bytes
_MAX_HEADERS = 64
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_REQUEST_LINE = re.compile(rb"GET ([\x21-\x7e]+) HTTP/1\.1\r\n")
_HEADER = rb"(%b):[\t ]*([\t\x20-\x7e\x80-\xff]*)\r\n" % _TOKEN
_headers = re.compile(_HEADER)
_only_headers = re.compile(rb"(?:%b)+" % _HEADER)
_key = re.compile(rb"[A-Za-z0-9+/]{22}==")
_tokens = re.compile(rb"%b(?:[\t ]*,[\t ]*%b)*" % (_TOKEN, _TOKEN))
_PROTOCOL = b"sec-websocket-protocol"
_NEEDED = {b"connection", b"upgrade", b"sec-websocket-key", b"sec-websocket-version"}
_ONCE = {*_NEEDED, _PROTOCOL, b"origin"}  # a header that is there twice is refused


class Handshake(NamedTuple):
    """A client's half.

    Attributes:
        target: path and query.
        headers: names in lower case.
        subprotocols: those that the client speaks.
        key: what the acceptance is made from.
    """

    target: bytes
    headers: list[tuple[bytes, bytes]]
    subprotocols: list[str]
    key: bytes


def read_handshake(data: bytes) -> Handshake | None:
    """Read a whole request.

    Returns:
        None where a complete parser has to look at it, which may find nothing wrong.
    """
    line = _REQUEST_LINE.match(data)
    if line is None or len(data) > _MAX_REQUEST or not data.endswith(b"\r\n\r\n"):
        return None
    block = line.end(), len(data) - 2
    if _only_headers.fullmatch(data, *block) is None:
        return None
    headers = [(name.lower(), value.rstrip()) for name, value in _headers.findall(data, *block)]
    told = {name: value for name, value in headers if name in _ONCE}
    counted = sum(name in told for name, _ in headers)
    if len(told) != counted or len(headers) > _MAX_HEADERS or not told.keys() >= _NEEDED:
        return None
    key, protocols = told[b"sec-websocket-key"], told.get(_PROTOCOL)
    ordinary = (
        b"upgrade" in [option.strip() for option in told[b"connection"].lower().split(b",")]
        and told[b"upgrade"].lower() == b"websocket"
        and told[b"sec-websocket-version"] == b"13"
        and _key.fullmatch(key)
        and (protocols is None or _tokens.fullmatch(protocols))
    )
    if not ordinary:
        return None
    subprotocols = [token.strip() for token in protocols.decode().split(",")] if protocols else []
    return Handshake(line[1], headers, subprotocols, key)


def acceptance(handshake: Handshake, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The server's half.

    Args:
        headers: more to tell, such as the subprotocol that was chosen.
    """
    accept = b64encode(sha1(handshake.key + _GUID, usedforsecurity=False).digest())
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + accept,
        *(name + b": " + value for name, value in headers),
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n"
