"""What is read from an ASGI scope."""

from __future__ import annotations

from lbproto.asgi.scope import peer_of


def test_headers_are_found_in_any_case_and_the_last_of_repeated_ones_counts() -> None:
    headers = [(b"Origin", b"a"), (b"x-two", b"1"), (b"origin", b"b"), (b"x-latin", b"\xe9")]
    found = peer_of({"headers": headers}).headers
    assert found["origin"] == "b"
    assert found.get("x-latin") == "é"
    assert found.get("absent") is None
    assert dict(found) == {"origin": "b", "x-two": "1", "x-latin": "é"}
    assert len(found) == 3


def test_query_parameters_may_be_empty_and_the_last_of_repeated_ones_counts() -> None:
    peer = peer_of({"headers": [], "query_string": b"a=1&b=&a=2%20%C3%A9", "client": ("h", 1)})
    assert peer.query == {"a": "2 é", "b": ""}
    assert peer.address == "h:1"
