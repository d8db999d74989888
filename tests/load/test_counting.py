from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lbproto.load import counting
from lbproto.load.counting import Tally, delay_pattern
from lbproto.load.poller import READ, WRITE
from tests.load.streams import cut, cuts, server_frame

FD = 7
MARKER = b'42["tick"'
BEAT = server_frame(0x81, b"2")
ANSWER = b"<answer>"


class Ended(Exception):
    """A connection has ended."""


class Brought:
    """Connections that bring what a test says, and remember what is sent at them."""

    def __init__(self, pieces: dict[int, Sequence[bytes | OSError]]) -> None:
        self.sent: list[tuple[int, bytes]] = []
        self.flushed: list[int] = []
        self.events = READ
        self._pieces = {fd: deque(brought) for fd, brought in pieces.items()}
        self.tally = Tally(self._poll, self)
        for fd in pieces:
            self.tally.listen(fd, self._receiver(fd), b"")

    def _poll(self, timeout: float) -> list[tuple[int, int]]:
        return [(fd, self.events) for fd, pieces in self._pieces.items() if pieces]

    def _receiver(self, fd: int) -> Callable[[int], bytes]:
        def receive(size: int) -> bytes:
            piece = self._pieces[fd].popleft()
            if isinstance(piece, OSError):
                raise piece
            return piece

        return receive

    def send(self, fd: int, data: bytes) -> None:
        self.sent.append((fd, data))

    def flush(self, fd: int) -> None:
        self.flushed.append(fd)

    def ended(self, fd: int, last: bytes, error: OSError | None) -> Exception:
        return Ended(fd, last, error)

    def run(self) -> Tally:
        while self.tally.turn(0):
            pass
        return self.tally

    @property
    def pongs(self) -> list[bytes]:
        """The payloads of the pongs that were sent, unmasked."""
        frames = [data for _, data in self.sent if data[0] == 0x8A]
        return [
            bytes(byte ^ frame[2 + at % 4] for at, byte in enumerate(frame[6:])) for frame in frames
        ]


def counted(pieces: Sequence[bytes], marker: bytes = MARKER, *, binary: bool = False) -> Brought:
    brought = Brought({FD: pieces})
    brought.tally.mark(marker, (BEAT, ANSWER), binary=binary)
    brought.run()
    return brought


# Any stream, any marker

alphabet = st.sampled_from([b"a", b"b", b"\x81", b"\x01", b"2", b"\x89", b"\x04"])
strings = st.lists(alphabet, min_size=1, max_size=4).map(b"".join)


@given(st.lists(alphabet, max_size=60).map(b"".join), strings, cuts)
@example(b"aabaab", b"aab", [1, 2, 3, 4, 5])
@example(b"ababab", b"abab", [4])
@example(b"aaaa", b"aa", [1])
def test_the_count_is_the_same_however_the_stream_is_cut(
    stream: bytes, marker: bytes, at: list[int]
) -> None:
    tally = counted(cut(stream, at), marker, binary=True).tally
    assert tally.total == tally.counts[FD] == stream.count(marker)


# A server's stream

ticks = st.builds(
    lambda text: ("tick", server_frame(0x81, b'42["tick",' + json.dumps(text).encode() + b"]")),
    st.text(st.characters(max_codepoint=0x7F), max_size=400),
)
unescaped = st.builds(
    lambda text: (
        "tick",
        server_frame(0x81, f'42["tick",{json.dumps(text, ensure_ascii=False)}]'.encode()),
    ),
    st.text(max_size=150),
)
others = st.sampled_from([("other", server_frame(0x81, b'42["other",{}]'))])
beats = st.just(("beat", BEAT))
pings = st.binary(max_size=8).map(lambda payload: ("ping", server_frame(0x89, payload)))
streams = st.lists(st.one_of(ticks, unescaped, others, beats, pings), max_size=12)


@given(streams, cuts)
def test_every_delivery_is_counted_and_every_ping_answered(
    frames: list[tuple[str, bytes]], at: list[int]
) -> None:
    stream = b"".join(frame for _, frame in frames)
    brought = counted(cut(stream, at))
    kinds = [kind for kind, _ in frames]
    assert brought.tally.total == kinds.count("tick")
    answers = b"".join(data for _, data in brought.sent if data.startswith(ANSWER))
    assert answers == ANSWER * kinds.count("beat")
    pongs = iter(brought.pongs)
    for payload in (frame[2:] for kind, frame in frames if kind == "ping"):
        assert payload in pongs  # in this order; others may be between


@given(st.lists(st.one_of(ticks, others, beats, pings), max_size=12))
def test_only_pings_are_taken_for_pings(frames: list[tuple[str, bytes]]) -> None:
    """In ASCII, with frames that come whole."""
    brought = counted([frame for _, frame in frames])
    assert brought.pongs == [frame[2:] for kind, frame in frames if kind == "ping"]


@pytest.mark.parametrize("length", [137, 137 + 256, 0x8900, 0x8989])
def test_a_length_is_not_taken_for_a_ping(length: int) -> None:
    frame = server_frame(0x81, (MARKER + b"," + b"4" * length)[: length - 1] + b"]")
    assert counted([frame + frame]).sent == []


def test_a_character_is_not_taken_for_a_ping() -> None:
    frame = server_frame(0x81, MARKER + ',"É"]'.encode())
    assert counted([frame + frame]).sent == []


def test_a_ping_between_messages_in_one_read() -> None:
    tick = server_frame(0x81, MARKER + b"]")
    brought = counted([tick + server_frame(0x89, b"\x89\x81") + server_frame(0x89, b"b") + tick])
    assert brought.tally.total == 2
    assert brought.pongs == [b"\x89\x81", b"b"]


@pytest.mark.parametrize("payload", [b"abc\x89", b"ab\x89\x04", b"a\x89\x7dc", b"\x89\x04\x89\x00"])
def test_a_ping_within_a_ping_does_not_hide_the_next(payload: bytes) -> None:
    """It is not kept as the beginning of one, for the next to be read as the rest of it."""
    pings = [server_frame(0x89, payload), server_frame(0x89, b"next")]
    assert counted(pings).pongs == [payload, b"next"]


def test_a_ping_among_binary_messages() -> None:
    tick = server_frame(0x82, b"\x83tick\xcb\xff")
    brought = Brought({FD: [tick + server_frame(0x89, b"b")]})
    brought.tally.mark(b"tick", binary=True)
    assert brought.run().total == 1
    assert brought.pongs == [b"b"]


def test_what_came_before_is_counted_with_the_rest() -> None:
    brought = Brought({FD: [b'ck"]']})
    brought.tally.mark(MARKER)
    brought.tally.listen(FD, brought.tally.receive[FD], server_frame(0x81, MARKER + b"]")[:-4])
    assert brought.run().total == 1


def test_connections_are_counted_apart() -> None:
    brought = Brought({3: [MARKER[:4], MARKER[4:]], 4: [MARKER[:4], b"]" + MARKER]})
    brought.tally.mark(MARKER)
    tally = brought.run()
    assert (tally.counts, tally.total) == ({3: 1, 4: 1}, 2)


# Beside the counting


def test_what_ends_is_told_with_its_last_words() -> None:
    with pytest.raises(Ended) as ended:
        counted([MARKER, b"the last", b""])
    assert ended.value.args == (FD, b"the last", None)


def test_a_close_frame_ends_it_at_once() -> None:
    """The server may wait for the client to end the connection."""
    tick, close = server_frame(0x81, MARKER + b"]"), server_frame(0x88, b"\x03\xe8")
    brought = Brought({FD: [tick + close]})
    brought.tally.mark(MARKER)
    with pytest.raises(Ended) as ended:
        brought.run()
    assert ended.value.args == (FD, tick + close, None)


def test_an_error_ends_it_too() -> None:
    error = ConnectionResetError(104, "reset")
    brought = Brought({FD: [error]})
    brought.tally.mark(MARKER)
    with pytest.raises(Ended) as ended:
        brought.run()
    assert ended.value.args == (FD, b"", error)


def test_what_can_only_be_written_to_is_flushed() -> None:
    brought = Brought({FD: [BlockingIOError(), MARKER]})
    brought.tally.mark(MARKER)
    brought.events = WRITE
    assert brought.run().total == 1
    assert brought.flushed == [FD]


def test_those_aside_are_told_and_not_counted() -> None:
    told: list[int] = []
    brought = Brought({FD: [MARKER]})
    brought.tally.mark(MARKER)
    brought.tally.aside[FD] = told.append
    assert brought.tally.turn(0) == 1
    assert told == [READ]
    assert brought.tally.total == 0


def test_pieces_with_and_without_deliveries_are_told() -> None:
    answered: list[tuple[int, int, bytes]] = []
    unmarked: list[tuple[int, bytes]] = []
    brought = Brought({FD: [MARKER + b"]" + MARKER + b"]", b"no]"]})
    brought.tally.mark(MARKER)
    brought.tally.answered = lambda *told: answered.append(told)
    brought.tally.unmarked = lambda *told: unmarked.append(told)
    brought.run()
    assert answered == [(FD, 2, MARKER + b"]" + MARKER + b"]")]
    assert unmarked == [(FD, b"no]")]


# Delays


NOW = 10_000_000_000_000_000
SECOND = 1_000_000_000


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    """The moment at which everything is read."""
    monkeypatch.setattr(counting, "monotonic_ns", lambda: NOW)


def sampled(pieces: Sequence[bytes], every: int = 1, *, binary: bool = False) -> list[int]:
    brought = Brought({FD: pieces})
    brought.tally.mark(b"tick", binary=binary)
    brought.tally.sample(every, delay_pattern("t", binary=binary))
    return brought.run().delays


def test_a_delay_is_that_of_the_first_event_of_a_piece() -> None:
    old = b'"tick",{"t": %d,"x":1}' % (NOW - 5 * SECOND)
    new = b'"tick",{"t":%d}' % NOW
    assert sampled([old + new]) == [5 * SECOND]


def test_a_delay_in_messagepack() -> None:
    moment = (NOW - 5 * SECOND).to_bytes(8)
    assert sampled([b"\xa4tick\x81\xa1t\xcf" + moment], binary=True) == [5 * SECOND]


@pytest.mark.parametrize(
    "piece",
    [
        b'"tick",{}',
        b'"tick",{"t":"2026"}',
        b'"tick",{"t":%d' % NOW,  # the rest may be in the next piece
        b'"tick",{"t":1}',  # a clock that began long before
        b'"t":%d,"tick",' % NOW,  # not of this event
        b'"tick",{"t":99999999999999999999}',  # in the future
    ],
)
def test_what_is_no_delay(piece: bytes) -> None:
    assert sampled([piece]) == []


def test_one_of_so_many_is_looked_at() -> None:
    piece = b'"tick",{"t":%d}' % NOW
    assert len(sampled([piece] * 10, every=1)) == 10
    assert len(sampled([piece] * 10, every=5)) == 2
    assert len(sampled([piece] * 10, every=0)) == 0
