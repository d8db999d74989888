from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from lbproto.load.frames import (
    CLOSE,
    PING,
    TEXT,
    BadFrame,
    FrameReader,
    client_frame,
    close_frame,
    closing,
    payload_start,
    pong_frame,
    reason_of,
)
from tests.load.streams import cut, cuts, server_frame


def heard_by_server(data: bytes) -> list[Frame]:
    """What a server of somebody else's makes of it."""
    protocol = ServerProtocol(max_size=None)
    protocol.state = protocol.state.OPEN
    protocol.parser = protocol.parse()
    next(protocol.parser)
    protocol.receive_data(data)
    assert protocol.parser_exc is None
    return [event for event in protocol.events_received() if isinstance(event, Frame)]


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536])
def test_a_server_reads_what_a_client_says(length: int) -> None:
    text = "é" + "x" * (length - 2) if length >= 2 else "x" * length
    assert [frame.data for frame in heard_by_server(client_frame(text))] == [text.encode()]
    [frame] = heard_by_server(client_frame(b"\x00" * length))
    assert (frame.opcode, frame.data) == (Opcode.BINARY, b"\x00" * length)


def test_a_server_reads_pongs_and_goodbyes() -> None:
    pong, close = heard_by_server(pong_frame(b"abc") + close_frame(1001))
    assert (pong.opcode, pong.data) == (Opcode.PONG, b"abc")
    assert (close.opcode, close.data) == (Opcode.CLOSE, b"\x03\xe9")


def test_frames_are_masked_anew() -> None:
    assert len({client_frame("the same") for _ in range(20)}) > 1


messages = st.lists(
    st.tuples(st.sampled_from([TEXT, PING]), st.binary(max_size=120) | st.just(b"x" * 300)),
    max_size=8,
).map(lambda pairs: [(opcode, data[:125] if opcode == PING else data) for opcode, data in pairs])


@given(messages, cuts)
def test_a_stream_is_the_same_however_it_is_cut(
    frames: list[tuple[int, bytes]], at: list[int]
) -> None:
    stream = b"".join(server_frame(0x80 | opcode, data) for opcode, data in frames)
    reader = FrameReader()
    assert [frame for piece in cut(stream, at) for frame in reader.feed(piece)] == frames
    assert reader.rest == b""


@pytest.mark.parametrize("length", [0, 125, 126, 65536])
def test_what_is_not_whole_is_kept(length: int) -> None:
    frame = server_frame(0x82, b"y" * length)
    reader = FrameReader()
    assert reader.feed(frame[:-1]) == []
    assert reader.rest == frame[:-1]
    assert reader.feed(frame[-1:]) == [(TEXT, b"y" * length)]


def test_a_message_in_several_frames_with_a_ping_amid() -> None:
    stream = (
        server_frame(0x01, b"one ")
        + server_frame(0x89, b"?")
        + server_frame(0x00, b"two ")
        + server_frame(0x80, b"three")
    )
    assert FrameReader().feed(stream) == [(PING, b"?"), (TEXT, b"one two three")]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xc1\x00", "compressed"),
        (b"\x81\x80\x00\x00\x00\x00", "masked"),
        (b"\x89\x7e\x00\x80", "more than 125"),
    ],
)
def test_what_a_server_must_not_send(data: bytes, why: str) -> None:
    with pytest.raises(BadFrame, match=why):
        FrameReader().feed(data)


def test_the_end_is_found_behind_anything() -> None:
    close = server_frame(0x80 | CLOSE, (1012).to_bytes(2) + b"maintenance")
    assert closing(close) == close[2:]
    assert closing(server_frame(0x81, b"an event") + close) == close[2:]
    assert closing(b"the end of an event" + close) == close[2:]
    assert closing(server_frame(0x88, b"")) == b""
    assert closing(server_frame(0x81, b"an event")) is None
    assert closing('["È!'.encode() + b"x" * 33) is None  # C3 88, and as many bytes as `!` says
    assert closing(b"\x83\xcb\x88\x00") is None
    assert closing(close + b"more") is None
    assert closing(b"\xcf\0\0\x0b\x02\x88\x17\n'\xa6offset\xadI2chDGWm.4838") is None  # MessagePack
    assert closing(b"\xcf\0\0\x0b\x02\x88\x17\x03\xf4\xa6offset\xadI2chDGWm.4838") is None
    assert closing(b"\x88") is None
    assert closing(b"") is None


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"", "without a code"),
        (b"\x03\xf4", "code 1012"),
        (b"\x03\xf4soon back", "1012: soon back"),
        (b"\x03\xf4\xff", "1012: \N{REPLACEMENT CHARACTER}"),
    ],
)
def test_the_end_is_told(payload: bytes, told: str) -> None:
    assert reason_of(payload) == told


@pytest.mark.parametrize("length", [0, 125, 126, 65535, 65536])
def test_where_a_payload_begins(length: int) -> None:
    frame = server_frame(0x81, b"z" * length)
    assert frame[payload_start(frame) :] == b"z" * length
