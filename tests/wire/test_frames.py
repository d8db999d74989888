"""Cutting a client's stream into frames: whole, in pieces, and against the complete parser."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as ReferenceFrame
from websockets.frames import Opcode
from websockets.protocol import SERVER, State
from websockets.protocol import Protocol as Reference

from lbproto.asgi.frames import BINARY, COMPLETE, TEXT, FrameSplitter, frame_again

MAX_SIZE = 70_000
LENGTHS = (0, 1, 125, 126, 127, 65_535, 65_536)

Part = tuple[int, bytes]


def masked(opcode: Opcode, payload: bytes, *, fin: bool = True) -> bytes:
    """A client's frame, by the library that clients use."""
    return ReferenceFrame(opcode, payload, fin).serialize(mask=True, extensions=[])


def split(pieces: Iterable[bytes], max_size: int = MAX_SIZE) -> list[Part]:
    """As the protocol does it: a read that is one whole text is not searched for more."""
    splitter = FrameSplitter(max_size)
    parts: list[Part] = []
    for piece in pieces:
        text = splitter.whole_text(piece)
        parts += splitter.split(piece) if text is None else [(TEXT, text)]
    return parts


def byte_by_byte(data: bytes) -> Iterator[bytes]:
    return (data[index : index + 1] for index in range(len(data)))


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
def test_whole_messages_of_every_length_form(opcode: Opcode, length: int) -> None:
    payload = b"x" * length
    data = masked(opcode, payload)
    assert split([data]) == [(opcode, payload)]
    assert split([data + data]) == [(opcode, payload)] * 2
    assert split([data[:-1], data[-1:]] if length else [data]) == [(opcode, payload)]
    if length < 1_000:
        assert split(byte_by_byte(data)) == [(opcode, payload)]


def test_what_is_no_whole_message_is_for_the_complete_parser() -> None:
    ping, close = masked(Opcode.PING, b"?"), masked(Opcode.CLOSE, b"\x03\xe8")
    first = masked(Opcode.TEXT, b"a", fin=False)
    last = masked(Opcode.CONT, b"b")
    text = masked(Opcode.TEXT, b"c")
    parts: list[Part] = [(COMPLETE, data) for data in (first, ping, last)]
    parts += [(TEXT, b"c"), (COMPLETE, close)]
    assert split([first + ping + last + text + close]) == parts
    assert split(byte_by_byte(first + ping + last + text + close)) == parts


@pytest.mark.parametrize(
    "wrong",
    [
        b"\x81\x00",  # not masked
        b"\x81\x03abc",
        b"\xc1\x80abcd",  # a bit of an extension
        b"\x91\x80abcd",
        b"\x83\x80abcd",  # opcodes that there are not
        b"\x8b\x80abcd",
        b"\x09\x80abcd",  # a part of a ping
        b"\x89\xfe\x00\x7eabcd" + bytes(126),  # a long ping
        b"\x00\x7e",  # what two bytes show is not waited with, though they announce a length
        b"\x83\xfe",
        b"\x89\xff",
        b"\x82\xff" + (MAX_SIZE + 1).to_bytes(8),  # too long, as soon as that is said
        b"\x82\xff\xff" + bytes(7),
    ],
)
def test_from_a_breach_of_the_rules_on_everything_is_for_the_complete_parser(wrong: bytes) -> None:
    good = masked(Opcode.TEXT, b"good")
    assert split([good + wrong]) == [(TEXT, b"good"), (COMPLETE, wrong)]  # and at once
    (first, *others) = split([good + wrong, good, b"x"])
    assert first == (TEXT, b"good")
    assert {opcode for opcode, _ in others} == {COMPLETE}
    assert b"".join(data for _, data in others) == wrong + good + b"x"


@pytest.mark.parametrize("length", LENGTHS)
def test_a_read_of_one_text_is_seen_at_once(length: int) -> None:
    data = masked(Opcode.TEXT, b"x" * length)
    splitter = FrameSplitter(MAX_SIZE)
    assert splitter.whole_text(data) == (b"x" * length if length < 65_536 else None)
    for other in (data[:-1], data + b"x", data + data, masked(Opcode.BINARY, b"x" * length)):
        assert splitter.whole_text(other) is None
    if length < 126:
        assert FrameSplitter(length - 1).whole_text(data) is None  # too long: not this way


def test_a_text_is_not_whole_in_the_middle_of_something() -> None:
    text = masked(Opcode.TEXT, b"whole")
    wrong = b"\x81\x00"
    for before in (masked(Opcode.TEXT, b"a", fin=False), text[:3], wrong):
        splitter = FrameSplitter(MAX_SIZE)
        list(splitter.split(before))
        assert splitter.whole_text(text) is None
    splitter = FrameSplitter(MAX_SIZE)
    list(splitter.split(text + masked(Opcode.PING, b"")))
    assert splitter.whole_text(text) == b"whole"


def test_in_the_middle_of_a_message_another_is_not_taken_for_whole() -> None:
    first, other = masked(Opcode.TEXT, b"a", fin=False), masked(Opcode.TEXT, b"b")
    assert split([first + other]) == [(COMPLETE, first), (COMPLETE, other)]


def test_a_large_frame_in_small_pieces_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Otherwise a peer could have its every byte cost as much as all those before it.
    scans = 0
    scan = FrameSplitter._scan

    def counting(self: FrameSplitter, buffer: bytes) -> Any:
        nonlocal scans
        scans += 1
        return scan(self, buffer)

    monkeypatch.setattr(FrameSplitter, "_scan", counting)
    payload = b"x" * 50_000
    assert split(byte_by_byte(masked(Opcode.BINARY, payload))) == [(BINARY, payload)]
    assert scans < 12  # while the header comes, and at the end


@pytest.mark.parametrize("length", LENGTHS)
def test_a_frame_made_again_is_the_same_to_a_parser(length: int) -> None:
    payload = b"x" * length
    assert split([frame_again(TEXT, payload)]) == [(TEXT, payload)]
    assert split([frame_again(BINARY, payload)]) == [(BINARY, payload)]


def understood(pieces: Iterable[bytes]) -> tuple[list[tuple[Any, ...]], bytes]:
    """The frames that the complete parser gets out of a stream, and what it answers."""
    reference = Reference(SERVER, state=State.OPEN, max_size=MAX_SIZE)
    frames: list[tuple[Any, ...]] = []
    for piece in pieces:
        reference.receive_data(piece)
        for event in reference.events_received():
            assert isinstance(event, ReferenceFrame)
            frames.append((event.opcode, bytes(event.data), event.fin))
    return frames, b"".join(reference.data_to_send())


DATA = st.builds(
    masked,
    st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONT]),
    st.binary(max_size=140),
    fin=st.booleans(),
)
CONTROLS = st.builds(
    masked, st.sampled_from([Opcode.PING, Opcode.PONG, Opcode.CLOSE]), st.binary(max_size=125)
)


@given(st.lists(st.one_of(DATA, CONTROLS, st.binary(max_size=20)), max_size=8), st.data())
def test_any_stream_in_any_pieces_means_what_it_means_to_the_complete_parser(
    stream: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(stream)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    bounds = [0, *cuts, len(whole)]
    pieces = [whole[a:b] for a, b in pairwise(bounds)]
    again = [
        payload if opcode == COMPLETE else frame_again(opcode, payload)
        for opcode, payload in split(pieces)
    ]
    assert understood(again) == understood([whole])
