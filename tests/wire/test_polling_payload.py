"""The body of a poll and of a POST: packets between separators."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto.frame import Message
from lbproto.wire import ProtocolError
from lbproto.wire.engineio import decode_payload, encode_payload

SEPARATOR = "\x1e"

CASES: dict[str, tuple[list[Message], bytes]] = {
    "one": (["4hello"], b"4hello"),
    "several": (["4a", "2", "4b"], b"4a\x1e2\x1e4b"),
    "binary": ([b"\x01\x02\x03\x04"], b"bAQIDBA=="),
    "text then binary": (["4hello", b"\x01\x02\x03\x04"], b"4hello\x1ebAQIDBA=="),
    "binary then text": ([b"\xff", "4hello"], b"b/w==\x1e4hello"),
    "empty binary": ([b""], b"b"),
    "beyond ASCII": (["4é€😀"], "4é€😀".encode()),
    "nothing": ([""], b""),
    "an empty packet behind": (["4a", ""], b"4a\x1e"),
    "an empty packet before": (["", "4a"], b"\x1e4a"),
    "a packet that looks like text": (["4b=="], b"4b=="),
}

MALFORMED = {
    "invalid UTF-8": b"4\xff",
    "cut UTF-8": "4é".encode()[:-1],
    "a surrogate in UTF-8": b"4\xed\xa0\x80",
    "invalid UTF-8 behind a good packet": b"4good\x1e4\xc0\x80",
    "base64 without padding": b"bAQIDBA",
    "base64 with padding inside": b"bAQ==AQ==",
    "base64 with a foreign character": b"bAQID*A==",
    "base64 with a line break": b"bAQID\nBA==",
    "base64 beyond ASCII": "bAQIDé".encode(),
    "base64 behind a good packet": b"4good\x1eb!",
}


@pytest.mark.parametrize(("packets", "body"), CASES.values(), ids=CASES)
def test_each_form_is_read_and_written(packets: list[Message], body: bytes) -> None:
    assert decode_payload(body) == packets
    assert encode_payload(packets).encode() == body


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_body_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_payload(body)


@pytest.mark.parametrize("body", [*MALFORMED.values()], ids=MALFORMED)
def test_good_packets_around_a_malformed_one_do_not_save_it(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_payload(b"4before\x1e" + body + b"\x1e4after")


@pytest.mark.parametrize(("packets", "body"), CASES.values(), ids=CASES)
def test_what_follows_the_separator_is_a_packet_of_its_own(
    packets: list[Message], body: bytes
) -> None:
    assert decode_payload(body + b"\x1e4trailing") == [*packets, "4trailing"]


@pytest.mark.parametrize(("packets", "body"), CASES.values(), ids=CASES)
def test_every_prefix_is_read_or_refused(packets: list[Message], body: bytes) -> None:
    # A body comes whole or not at all, but a client may cut it anywhere.
    for end in range(len(body)):
        try:
            read = decode_payload(body[:end])
        except ProtocolError:
            continue
        assert read[:-1] == packets[: len(read) - 1]


packets_of_text = st.text().filter(lambda text: SEPARATOR not in text and not text.startswith("b"))


@given(st.lists(packets_of_text | st.binary(), min_size=1))
def test_what_is_written_is_read(packets: list[Message]) -> None:
    assert decode_payload(encode_payload(packets).encode()) == packets


@given(st.binary())
def test_any_body_is_packets_or_a_protocol_error(body: bytes) -> None:
    try:
        packets = decode_payload(body)
    except ProtocolError:
        return
    assert len(packets) == body.count(b"\x1e") + 1


@given(st.lists(st.sampled_from(["4", "b", "2", "\x1e", "é", "=", "AQ==", "\x00"])))
def test_any_mix_of_the_parts_is_packets_or_a_protocol_error(parts: list[str]) -> None:
    body = "".join(parts)
    try:
        packets = decode_payload(body.encode())
    except ProtocolError:
        return
    for packet, part in zip(packets, body.split(SEPARATOR), strict=True):
        written = packet if isinstance(packet, str) else "b" + b64encode(packet).decode()
        # Base64 has several spellings of the same bytes, all with the same length but for padding.
        assert (written == part) or (
            isinstance(packet, bytes) and len(written.rstrip("=")) == len(part.rstrip("="))
        )
