from __future__ import annotations

import base64
import hashlib
import socket

import pytest
from hypothesis import given

from lbproto.load.errors import LoadError
from lbproto.load.target import Handshake, NoWebSocket, Target
from tests.load.streams import cut, cuts


@pytest.mark.parametrize(
    ("url", "host", "port", "prefix"),
    [
        ("ws://localhost:8091", "localhost", 8091, ""),
        ("http://example.org/", "example.org", 80, ""),
        ("ws://[::1]:9000/app/", "::1", 9000, "/app"),
    ],
)
def test_addresses(url: str, host: str, port: int, prefix: str) -> None:
    assert Target.of(url) == Target(url, host, port, prefix)


@pytest.mark.parametrize(
    "url", ["localhost:8091", "ws://", "ftp://h", "ws://h:99999", "", "ws://["]
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(LoadError, match="is not a server address; use ws://"):
        Target.of(url)


@pytest.mark.parametrize("scheme", ["wss", "https"])
def test_tls_is_refused_clearly(scheme: str) -> None:
    with pytest.raises(LoadError, match="behind TLS, which is not supported: measure the server's"):
        Target.of(f"{scheme}://h")


def test_the_first_address_where_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        # `localhost` has an IPv6 address too on most machines, where nobody listens.
        family, address = Target.of(f"ws://localhost:{port}").resolve()
        assert (family, address) == (socket.AF_INET, ("127.0.0.1", port))
        assert Target.of("ws://h").is_local(family, address)
        assert not Target.of("ws://h").is_local(family, ("192.0.2.1", port))


def test_nobody_listens() -> None:
    with pytest.raises(LoadError, match=r"nothing listens at ws://127\.0\.0\.1:1: start"):
        Target.of("ws://127.0.0.1:1").resolve()


def test_a_name_that_is_unknown() -> None:
    with pytest.raises(LoadError, match=r"cannot find 'no\.such\.invalid'"):
        Target.of("ws://no.such.invalid").resolve()


TARGET = Target.of("ws://[::1]:9000/app")


def answer(handshake: Handshake, **changed: str) -> bytes:
    """What a right server answers, but for what is changed."""
    fields = dict(line.split(": ", 1) for line in handshake.request.decode().split("\r\n")[1:-2])
    key = fields["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
    said = {
        "status": "HTTP/1.1 101 Switching Protocols",
        "upgrade": "websocket",
        "accept": f"sec-websocket-accept: {accept}",
        "protocol": "Sec-WebSocket-Protocol:v1",
    } | changed
    return "\r\n".join([*(line for line in said.values() if line), "", ""]).encode()


def test_what_is_asked() -> None:
    request = Handshake(TARGET, "/ws?x=1", ("bearer.t", "v1")).request.decode()
    first, *lines = request.split("\r\n")
    assert first == "GET /app/ws?x=1 HTTP/1.1"
    assert "Host: [::1]:9000" in lines
    assert "Sec-WebSocket-Protocol: bearer.t, v1" in lines
    assert lines[-2:] == ["", ""]
    assert Handshake(TARGET, "/", ()).request != Handshake(TARGET, "/", ()).request


@given(cuts)
def test_an_answer_in_pieces(at: list[int]) -> None:
    handshake = Handshake(TARGET, "/", ("v1",))
    whole = answer(handshake)
    *first, last = cut(whole, [place for place in at if place < len(whole)])
    assert [handshake.answered(piece) for piece in first] == [None] * len(first)
    assert handshake.answered(last + b"\x81\x01x") == b"\x81\x01x"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"status": "HTTP/1.1 404 Not Found"}, "answers HTTP 404 Not Found: is the address right"),
        ({"status": "HTTP/1.1 799"}, "answers HTTP 799: is the address right"),
        ({"status": "HTTP/1.1 503 Busy"}, r"no new connections now \(HTTP 503\): wait"),
        ({"status": "HTTP/1.1 403 Forbidden"}, r"\(HTTP 403\): is the path right, and the token"),
        ({"status": "SSH-2.0-OpenSSH_9.2"}, "does not speak HTTP/1.1"),
        ({"status": "HTTP/1.0 200 OK"}, "does not speak HTTP/1.1"),
        ({"accept": "Sec-WebSocket-Accept: wrong"}, "its handshake is wrong"),
        ({"accept": ""}, "its handshake is wrong"),
        ({"extra": "Sec-WebSocket-Extensions: permessage-deflate"}, "was not offered"),
        ({"protocol": ""}, "does not speak v1: choose another wire"),
        ({"protocol": "Sec-WebSocket-Protocol: bearer.t"}, "does not speak v1"),
    ],
)
def test_an_answer_that_is_none(changed: dict[str, str], why: str) -> None:
    handshake = Handshake(TARGET, "/", ("bearer.t", "v1"))
    with pytest.raises(NoWebSocket, match=why):
        handshake.answered(answer(handshake, **changed))


def test_an_answer_without_end() -> None:
    handshake = Handshake(TARGET, "/", ())
    with pytest.raises(NoWebSocket, match="has no end"):
        handshake.answered(b"HTTP/1.1 101 " + b"x" * 70_000)
