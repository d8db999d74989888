from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.http11 import Request
from websockets.server import ServerProtocol

from lbproto.asgi.handshake import acceptance, read_handshake

KEY = "c2l4dGVlbiBieXRlcyEhIQ=="
USUAL = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-key": KEY,
    "sec-websocket-version": "13",
}

names = st.sampled_from([*USUAL, "sec-websocket-protocol", "cookie", "x y", "", "origin"])
values = st.one_of(
    st.sampled_from([*USUAL.values(), "keep-alive, upgrade", "one, two", "a b", "", " 13 ", "é"]),
    st.text(st.characters(codec="latin-1"), max_size=5),
)
changes = st.lists(st.tuples(names, values, st.sampled_from(["set", "add", "drop"])), max_size=3)
targets = st.sampled_from(["/", "/a?b=c", "/%20", "", "/a b", "/é", "*", "http://a/"])


def request(target: str, changed: list[tuple[str, str, str]], ending: bytes = b"\r\n\r\n") -> bytes:
    headers = list(USUAL.items())
    for name, value, how in changed:
        if how != "add":
            headers = [header for header in headers if header[0] != name]
        if how != "drop":
            headers.append((name, value))
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join(lines).encode("latin-1") + ending


@given(targets, changes)
@example("/", [("sec-websocket-protocol", "", "set")])  # it names none, and may not
@example("/", [("origin", "a", "set"), ("origin", "b", "add")])
def test_what_is_read_is_what_the_complete_parser_accepts(
    target: str, changed: list[tuple[str, str, str]]
) -> None:
    data = request(target, changed)
    handshake = read_handshake(data)
    if handshake is None:
        return
    complete = ServerProtocol()
    complete.receive_data(data)
    (event,) = complete.events_received()
    assert isinstance(event, Request)
    response = complete.accept(event)
    assert response.status_code == 101
    assert handshake.target.decode() == event.path
    assert handshake.headers == [
        (name.encode(), value.encode("latin-1")) for name, value in event.headers.raw_items()
    ]
    accept = response.headers["Sec-WebSocket-Accept"].encode()
    assert b"Sec-WebSocket-Accept: " + accept in acceptance(handshake, ()).split(b"\r\n")


@pytest.mark.parametrize(
    "ending", [b"\r\n", b"\r\n\r\n\r\n", b"\r\n\r\nx", b"\n\n", b"\r\n\r\n\x00"]
)
def test_what_is_not_a_whole_request_is_not_read(ending: bytes) -> None:
    assert read_handshake(request("/", [], ending)) is None


def test_the_usual_is_read() -> None:
    """Without which the other tests would show nothing."""
    protocols = [("Sec-WebSocket-Protocol", "one, two", "add"), ("Origin", "http://a", "add")]
    handshake = read_handshake(request("/ws?a=b", protocols))
    assert handshake is not None
    assert handshake.subprotocols == ["one", "two"]
    assert (b"origin", b"http://a") in handshake.headers


def test_the_acceptance_is_that_of_the_rfc() -> None:
    handshake = read_handshake(
        request("/", [("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==", "set")])
    )
    assert handshake is not None
    assert acceptance(handshake, [(b"x", b"y")]) == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nx: y\r\n\r\n"
    )
