"""The cases of the Autobahn fuzzing client, restated: it runs on Python 2 only.

Each is named by the number that it has there. 12 and 13 are about compression, which is not agreed
to. What Autobahn lets an implementation choose (how soon bad UTF-8 is noticed, what comes after an
illegal frame) is left open here too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from websockets.frames import Frame
from websockets.frames import Opcode as Op

__all__ = ["CASES", "CLOSE", "Case"]


@dataclass(frozen=True)
class Case:
    """What a client sends, and what it is to get.

    Attributes:
        number: as Autobahn counts.
        sent: the bytes, each piece in a write of its own.
        got: data and pongs; when all of it has arrived, the client closes.
        code: of the server's close frame; None where it carries none.
        lenient: whether the server may close before all of `got`.
    """

    number: str
    sent: Sequence[bytes]
    got: Sequence[tuple[Op, bytes]] = ()
    code: int | None = 1000
    lenient: bool = False


def frame(op: Op | int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    """A client's frame, also one that there may not be."""
    data = bytearray(Frame(Op.BINARY, payload).serialize(mask=True, extensions=[]))
    data[0] = fin << 7 | rsv << 4 | op
    return bytes(data)


CLOSE = frame(Op.CLOSE, b"\x03\xe8")
HELLO = b"Hello, world!"
ECHOED = (Op.TEXT, HELLO)
KELLOS = "Κόσμε".encode()
UTF8 = "Hello-µ@ßöäüàá-UTF-8!!".encode()


def chopped(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def fragments(op: Op, *parts: bytes) -> list[bytes]:
    """A message in frames."""
    last = len(parts) - 1
    return [
        frame(Op.CONT if index else op, part, fin=index == last) for index, part in enumerate(parts)
    ]


def _framing() -> Iterator[Case]:
    sizes = (0, 125, 126, 127, 128, 65_535, 65_536)
    for group, op, letter in ((1, Op.TEXT, b"*"), (2, Op.BINARY, b"\xfe")):
        for case, size in enumerate(sizes, 1):
            payload = letter * size
            yield Case(f"1.{group}.{case}", [frame(op, payload)], [(op, payload)])
        payload = letter * 65_536
        yield Case(f"1.{group}.8", [*chopped(frame(op, payload), 997)], [(op, payload)])


def _pings() -> Iterator[Case]:
    for case, payload in enumerate(
        (b"", HELLO, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", b"\xfe" * 125), 1
    ):
        yield Case(f"2.{case}", [frame(Op.PING, payload)], [(Op.PONG, payload)])
    yield Case("2.5", [frame(Op.PING, b"\xfe" * 126)], code=1002)
    ping = frame(Op.PING, b"\xfe" * 125)
    yield Case("2.6", [*chopped(ping, 1)], [(Op.PONG, b"\xfe" * 125)])
    yield Case("2.7", [frame(Op.PONG)])
    yield Case("2.8", [frame(Op.PONG, b"unsolicited")])
    both = [frame(Op.PONG, b"unsolicited"), frame(Op.PING, b"ping")]
    yield Case("2.9", [*both], [(Op.PONG, b"ping")])
    payloads = [b"payload-%d" % index for index in range(10)]
    pings = [frame(Op.PING, payload) for payload in payloads]
    pongs = [(Op.PONG, payload) for payload in payloads]
    yield Case("2.10", [*pings], pongs)
    yield Case("2.11", [*chopped(b"".join(pings), 1)], pongs)


def _reserved() -> Iterator[Case]:
    text, ping = frame(Op.TEXT, HELLO), frame(Op.PING)
    yield Case("3.1", [frame(Op.TEXT, HELLO, rsv=1)], code=1002)
    stream = [text, frame(Op.TEXT, HELLO, rsv=2), ping]
    yield Case("3.2", [b"".join(stream)], [ECHOED], 1002, lenient=True)
    stream = [text, frame(Op.TEXT, HELLO, rsv=3), ping]
    yield Case("3.3", stream, [ECHOED], 1002, lenient=True)
    stream = [text, frame(Op.TEXT, HELLO, rsv=4), ping]
    yield Case("3.4", chopped(b"".join(stream), 1), [ECHOED], 1002, lenient=True)
    yield Case("3.5", [frame(Op.BINARY, b"\x00" * 8, rsv=5)], code=1002)
    yield Case("3.6", [frame(Op.PING, HELLO, rsv=6)], code=1002)
    yield Case("3.7", [frame(Op.CLOSE, b"\x03\xe8", rsv=7)], code=1002)


def _opcodes() -> Iterator[Case]:
    text, ping = frame(Op.TEXT, HELLO), frame(Op.PING)
    for group, opcodes in ((1, range(3, 8)), (2, range(11, 16))):
        plain, loaded, third, fourth, fifth = opcodes
        yield Case(f"4.{group}.1", [frame(plain)], code=1002)
        yield Case(f"4.{group}.2", [frame(loaded, b"reserved")], code=1002)
        stream = [text, frame(third), ping]
        yield Case(f"4.{group}.3", stream, [ECHOED], 1002, lenient=True)
        stream = [text, frame(fourth, HELLO), ping]
        yield Case(f"4.{group}.4", stream, [ECHOED], 1002, lenient=True)
        stream = [text, frame(fifth, HELLO), ping]
        yield Case(f"4.{group}.5", chopped(b"".join(stream), 1), [ECHOED], 1002, lenient=True)


def _fragmentation() -> Iterator[Case]:
    numbers = (f"5.{case}" for case in count(1))
    for op in (Op.PING, Op.PONG):
        yield Case(next(numbers), fragments(op, b"frag1", b"frag2"), code=1002)
    first, last = fragments(Op.TEXT, b"fragment1", b"fragment2")
    whole = (Op.TEXT, b"fragment1fragment2")
    ping, pong = frame(Op.PING, b"ping"), (Op.PONG, b"ping")
    for stream, got in (([first, last], [whole]), ([first, ping, last], [pong, whole])):
        yield Case(next(numbers), [b"".join(stream)], got)
        yield Case(next(numbers), [*stream], got)
        yield Case(next(numbers), chopped(b"".join(stream), 1), got)
    text = frame(Op.TEXT, HELLO)
    for fin in (True, False):
        stream = [frame(Op.CONT, b"non-continuation payload", fin=fin), text]
        yield Case(next(numbers), [b"".join(stream)], code=1002)
        yield Case(next(numbers), stream, code=1002)
        yield Case(next(numbers), chopped(b"".join(stream), 1), code=1002)
    stray = frame(Op.CONT, b"fragment3", fin=False)
    yield Case(next(numbers), [first + last + stray + text], [whole], 1002, lenient=True)
    for fin in (False, True):
        stream = [frame(Op.CONT, b"fragment1", fin=fin), frame(Op.TEXT, b"fragment2")]
        yield Case(next(numbers), stream * 2, code=1002)
    stream = [frame(Op.TEXT, b"fragment1", fin=False), frame(Op.TEXT, b"fragment2")]
    yield Case(next(numbers), stream, code=1002)
    parts = fragments(Op.TEXT, *[b"fragment%d" % index for index in range(1, 6)])
    stream = [*parts[:2], ping, *parts[2:4], ping, parts[4]]
    got = [pong, pong, (Op.TEXT, b"fragment1fragment2fragment3fragment4fragment5")]
    yield Case(next(numbers), [*stream], got)
    yield Case(next(numbers), [b"".join(stream)], got)


# 6.5 to 6.23: Markus Kuhn's table.
_VALID = [
    KELLOS,
    *(chr(code).encode() for code in (0, 0x80, 0x800, 0x1_0000)),  # the first of each length
    *(chr(code).encode() for code in (0x7F, 0x7FF, 0xFFFF, 0x10_FFFF)),  # the last
    *(chr(code).encode() for code in (0xD7FF, 0xE000, 0xFFFD, 0xFFFE, 0x1_FFFE, 0x10_FFFE)),
]
_INVALID = [
    KELLOS[:-1],
    KELLOS[:1],
    KELLOS + b"\xed\xa0\x80edited",  # a surrogate
    b"\xf8\x88\x80\x80\x80",  # five bytes
    b"\xfc\x84\x80\x80\x80\x80",  # six
    b"\xf7\xbf\xbf\xbf",
    b"\xfb\xbf\xbf\xbf\xbf",
    b"\xf4\x90\x80\x80",  # past the last
    b"\x80",  # continuations without a start
    b"\xbf\x80\xbf\x80",
    bytes(range(0x80, 0xC0)),
    b" ".join(bytes([start]) for start in range(0xC0, 0xFE)),  # starts without a continuation
    b"\xc0",
    b"\xe0\x80",
    b"\xf0\x80\x80",
    b"\xdf",
    b"\xef\xbf",
    b"\xf7\xbf\xbf",
    b"\xc0\xe0\x80\xf0\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xfe\xfe\xff\xff",
    b"\xc0\xaf",  # longer than needed
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xc1\xbf",
    b"\xe0\x9f\xbf",
    b"\xf0\x8f\xbf\xbf",
    *(chr(code).encode(errors="surrogatepass") for code in (0xD800, 0xDB7F, 0xDC00, 0xDFFF)),
    "\ud800\udc00".encode(errors="surrogatepass"),
    "\udbff\udfff".encode(errors="surrogatepass"),
]


def _utf8() -> Iterator[Case]:
    yield Case("6.1.1", [frame(Op.TEXT)], [(Op.TEXT, b"")])
    empty = fragments(Op.TEXT, b"", b"", b"")
    yield Case("6.1.2", [*empty], [(Op.TEXT, b"")])
    middle = fragments(Op.TEXT, b"", b"middle frame payload", b"")
    yield Case("6.1.3", [*middle], [(Op.TEXT, b"middle frame payload")])
    got = [(Op.TEXT, UTF8)]
    yield Case("6.2.1", [frame(Op.TEXT, UTF8)], got)
    yield Case("6.2.2", [*fragments(Op.TEXT, UTF8[:12], UTF8[12:])], got)
    yield Case("6.2.3", [*fragments(Op.TEXT, *chopped(UTF8, 1))], got)
    yield Case("6.2.4", [*fragments(Op.TEXT, *chopped(KELLOS, 1))], [(Op.TEXT, KELLOS)])
    bad = KELLOS + b"\xed\xa0\x80edited"
    yield Case("6.3.1", [frame(Op.TEXT, bad)], code=1007)
    yield Case("6.3.2", fragments(Op.TEXT, *chopped(bad, 1)), code=1007)
    beyond = [KELLOS, b"\xf4\x90\x80\x80", b"edited"]
    yield Case("6.4.1", fragments(Op.TEXT, *beyond), code=1007)
    yield Case("6.4.2", fragments(Op.TEXT, KELLOS + b"\xf4", b"\x90", b"\x80\x80edited"), code=1007)
    yield Case("6.4.3", [frame(Op.TEXT, b"".join(beyond))], code=1007)
    yield Case("6.4.4", chopped(frame(Op.TEXT, b"".join(beyond)), 1), code=1007)
    for index, text in enumerate(_VALID, 1):
        yield Case(f"6.5+{index}", [frame(Op.TEXT, text)], [(Op.TEXT, text)])
        pieces = fragments(Op.TEXT, *chopped(text, 1))
        yield Case(f"6.5+{index}f", [*pieces], [(Op.TEXT, text)])
    for index, text in enumerate(_INVALID, 1):
        yield Case(f"6.6+{index}", [frame(Op.TEXT, text)], code=1007)
        if len(text) > 1:
            yield Case(f"6.6+{index}f", fragments(Op.TEXT, *chopped(text, 1)), code=1007)


def _closing() -> Iterator[Case]:
    text = frame(Op.TEXT, HELLO)
    yield Case("7.1.1", [text], [ECHOED])
    yield Case("7.1.2", [CLOSE, CLOSE])
    yield Case("7.1.3", [CLOSE, frame(Op.PING)])
    yield Case("7.1.4", [CLOSE, text])
    first, last = fragments(Op.TEXT, b"fragment1", b"fragment2")
    # Autobahn expects 1000; the library behind uvicorn takes the unfinished message for an error.
    yield Case("7.1.5", [first, CLOSE, last], code=1002)
    large = b"BAsd7&jh23" * 26_214
    stream = [frame(Op.TEXT, large), CLOSE, frame(Op.PING)]
    yield Case("7.1.6", stream, [(Op.TEXT, large)], lenient=True)
    yield Case("7.3.1", [frame(Op.CLOSE)], code=None)
    yield Case("7.3.2", [frame(Op.CLOSE, b"a")], code=1002)
    yield Case("7.3.3", [CLOSE])
    yield Case("7.3.4", [frame(Op.CLOSE, b"\x03\xe8Hello World!")])
    yield Case("7.3.5", [frame(Op.CLOSE, b"\x03\xe8" + b"*" * 123)])
    yield Case("7.3.6", [frame(Op.CLOSE, b"\x03\xe8" + b"*" * 124)], code=1002)
    yield Case("7.5.1", [frame(Op.CLOSE, b"\x03\xe8" + KELLOS + b"\xed\xa0\x80")], code=1007)
    valid = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    for case, code in enumerate(valid, 1):
        yield Case(f"7.7.{case}", [frame(Op.CLOSE, code.to_bytes(2))], code=code)
    for case, code in enumerate((0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999), 1):
        yield Case(f"7.9.{case}", [frame(Op.CLOSE, code.to_bytes(2))], code=1002)
    for case, code in enumerate((5000, 65_535), 1):
        yield Case(f"7.13.{case}", [frame(Op.CLOSE, code.to_bytes(2))], code=1002)


def _large() -> Iterator[Case]:
    kilobyte = 1 << 10
    for group, op, letter in ((1, Op.TEXT, b"*"), (2, Op.BINARY, b"\xfe")):
        for case, size in enumerate((64, 256, 1_024, 4_096, 8_192, 16_384), 1):
            payload = letter * (size * kilobyte)
            yield Case(f"9.{group}.{case}", [frame(op, payload)], [(op, payload)])
    for group, op, letter in ((3, Op.TEXT, b"*"), (4, Op.BINARY, b"\xfe")):
        payload = letter * (4_096 * kilobyte)
        for case, size in enumerate((64, 256, 1_024, 4_096, 16_384, 65_536, 262_144), 1):
            stream = fragments(op, *chopped(payload, size))
            sent = chopped(b"".join(stream), 1 << 20)
            yield Case(f"9.{group}.{case}", sent, [(op, payload)])
    for group, op, letter in ((5, Op.TEXT, b"*"), (6, Op.BINARY, b"\xfe")):
        payload = letter * (1_024 * kilobyte)
        for case, size in enumerate((64, 128, 256, 512, 1_024, 2_048), 1):
            sent = chopped(frame(op, payload), size)
            yield Case(f"9.{group}.{case}", sent, [(op, payload)])
    for group, op in ((7, Op.TEXT), (8, Op.BINARY)):
        for case, size in enumerate((0, 16, 64, 256, 1_024, 4_096), 1):
            payload = b"*" * size
            stream = [frame(op, payload)] * 1_000
            yield Case(f"9.{group}.{case}", [b"".join(stream)], [(op, payload)] * 1_000)
    payload = b"*" * 65_536
    stream = fragments(Op.TEXT, *chopped(payload, 1_300))
    yield Case("10.1.1", [*stream], [(Op.TEXT, payload)])


CASES = [
    *_framing(),
    *_pings(),
    *_reserved(),
    *_opcodes(),
    *_fragmentation(),
    *_utf8(),
    *_closing(),
    *_large(),
]
