"""Socket.IO packets in the form of the socket.io-msgpack-parser."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import Ext

from lbproto import Event
from lbproto.errors import InvalidRequest
from lbproto.frame import Frame
from lbproto.wire import ProtocolError
from lbproto.wire.formats import RequestId
from lbproto.wire.msgpack import MsgpackDecoder, MsgpackFormat, msgpack_format, without_undefined
from lbproto.wire.socketio import PacketType

pack = msgspec.msgpack.encode
unpack = msgspec.msgpack.decode

UNDEFINED = Ext(0, b"\x00")  # what notepack.io writes for `undefined`
CONNECT, DISCONNECT = PacketType.CONNECT, PacketType.DISCONNECT
EVENT, ACK = PacketType.EVENT, PacketType.ACK


class Read(NamedTuple):
    type: PacketType
    namespace: str
    id: RequestId | None
    name: str
    values: list[Any]


def decode(data: bytes) -> Read:
    packet = MsgpackDecoder().receive(data)
    values = packet.arguments.values()
    return Read(packet.type, packet.namespace, packet.id, packet.name, values)


def packet(type_: Any = 2, nsp: Any = "/", **more: Any) -> bytes:
    return pack({"type": type_, "nsp": nsp, **more})


PACKETS: dict[str, tuple[bytes, Read]] = {
    "connect": (packet(0), Read(CONNECT, "/", None, "", [None])),
    "connect, undefined": (packet(0, data=UNDEFINED), Read(CONNECT, "/", None, "", [None])),
    "connect, null": (packet(0, data=None), Read(CONNECT, "/", None, "", [None])),
    "connect, auth": (packet(0, data={"a": 1}), Read(CONNECT, "/", None, "", [{"a": 1}])),
    "connect, a namespace": (packet(0, "/ws"), Read(CONNECT, "/ws", None, "", [None])),
    "connect, an undefined field": (
        packet(0, data={"token": "t", "more": UNDEFINED}),
        Read(CONNECT, "/", None, "", [{"token": "t"}]),
    ),
    "disconnect": (packet(1, "/ws"), Read(DISCONNECT, "/ws", None, "", [])),
    "disconnect, undefined": (packet(1, data=UNDEFINED), Read(DISCONNECT, "/", None, "", [])),
    "event": (packet(2, data=["a"]), Read(EVENT, "/", None, "a", [])),
    "event, arguments": (
        packet(2, data=["a", 1, "2", {"3": [True]}, None]),
        Read(EVENT, "/", None, "a", [1, "2", {"3": [True]}, None]),
    ),
    "event, bytes in place": (
        packet(2, data=["a", b"\xff\x00"]),
        Read(EVENT, "/", None, "a", [b"\xff\x00"]),
    ),
    "event, an id": (packet(2, data=["a"], id=0), Read(EVENT, "/", 0, "a", [])),
    "event, an undefined id": (
        packet(2, data=["a"], id=UNDEFINED),
        Read(EVENT, "/", None, "a", []),
    ),
    "event, a null id": (packet(2, data=["a"], id=None), Read(EVENT, "/", None, "a", [])),
    "event, unknown fields": (
        packet(2, data=["a"], options={"compress": True}, attachments=UNDEFINED),
        Read(EVENT, "/", None, "a", []),
    ),
    "event, undefined argument": (
        packet(2, data=["a", UNDEFINED, 1]),
        Read(EVENT, "/", None, "a", [None, 1]),
    ),
    "event, undefined nested": (
        packet(2, data=["a", {"b": {"c": UNDEFINED, "d": [UNDEFINED, {"e": UNDEFINED}]}}]),
        Read(EVENT, "/", None, "a", [{"b": {"d": [None, {}]}}]),
    ),
    "event, other extensions": (
        packet(2, data=["a", {"keep": Ext(5, b"\xd4\x00"), "drop": UNDEFINED}]),
        Read(EVENT, "/", None, "a", [{"keep": Ext(5, b"\xd4\x00")}]),
    ),
    "event, bytes that look like undefined": (
        packet(2, data=["a", b"\xd4\x00\x00", "text", 1.5]),
        Read(EVENT, "/", None, "a", [b"\xd4\x00\x00", "text", 1.5]),
    ),
    "event, keys that are numbers": (
        packet(2, data=["a", {1: UNDEFINED, 2: 3}]),
        Read(EVENT, "/", None, "a", [{2: 3}]),
    ),
    "ack": (packet(3, data=[1], id=12), Read(ACK, "/", 12, "", [1])),
    "ack, undefined": (packet(3, data=[UNDEFINED], id=12), Read(ACK, "/", 12, "", [None])),
    "ack, the largest id": (packet(3, data=[], id=2**64 - 1), Read(ACK, "/", 2**64 - 1, "", [])),
}

DEEP = b"\x91" * 100_000 + b"\x01"
DEEP_OBJECT = b"\x81\xa1a" * 100_000 + b"\x01"
HEAD = b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1a"  # ... and one argument to come

MALFORMED: dict[str, bytes | str] = {
    "nothing": b"",
    "text": '2["a"]',
    "no map": pack([2, "/", ["a"]]),
    "a number": b"\x02",
    "undefined": pack(UNDEFINED),
    "a byte that means nothing": b"\xc1",
    "no type": pack({"nsp": "/", "data": ["a"]}),
    "an undefined type": packet(UNDEFINED, data=["a"]),
    "no namespace": pack({"type": 2, "data": ["a"]}),
    "a type that is text": packet("2", data=["a"]),
    "a type that is a fraction": packet(2.5, data=["a"]),
    "a type that is true": packet(True, data=["a"]),
    "a negative type": packet(-1, data=["a"]),
    "an enormous type": packet(2**63, data=["a"]),
    "a refusal from a client": packet(4, data={"message": "no"}),
    "a binary event": packet(5, data=["a"]),
    "a binary ack": packet(6, data=[], id=1),
    "an unknown type": packet(7, data=["a"]),
    "a namespace that is a number": packet(2, 1, data=["a"]),
    "a namespace that is bytes": packet(2, b"/", data=["a"]),
    "an event without data": packet(2),
    "an event of undefined": packet(2, data=UNDEFINED),
    "an event without a name": packet(2, data=[]),
    "an event that is an object": packet(2, data={"a": 1}),
    "an event named by a number": packet(2, data=[1]),
    "an event named by bytes": packet(2, data=[b"a"]),
    "an event named undefined": packet(2, data=[UNDEFINED]),
    "a negative id": packet(2, data=["a"], id=-1),
    "an id that is text": packet(2, data=["a"], id="1"),
    "an id that is a fraction": packet(2, data=["a"], id=1.5),
    "an ack without an id": packet(3, data=[]),
    "an ack of nothing": packet(3, id=1),
    "auth that is a list": packet(0, data=[]),
    "auth that is text": packet(0, data="token"),
    "auth with keys that are numbers": packet(0, data={1: 2}),
    "invalid UTF-8 in a name": packet(2, data=["a"]).replace(b"\xa1a", b"\xa1\xff"),
    "invalid UTF-8 in a namespace": packet(2, "?", data=["a"]).replace(b"?", b"\xff"),
    "a surrogate in a namespace": packet(2, "???", data=["a"]).replace(b"???", b"\xed\xa0\x80"),
    "invalid UTF-8 in a key of the packet": packet(2, data=["a"]).replace(b"type", b"typ\xff"),
    "invalid UTF-8 beside undefined": packet(2, data=["a", "?", UNDEFINED]).replace(b"?", b"\xff"),
    "a key that is a map, beside undefined": HEAD + b"\x82\x81\x01\x01\x01\x01" + pack(UNDEFINED),
    "trailing data": packet(2, data=["a"]) + b"\x01",
    "two packets": packet(2, data=["a"]) * 2,
    "trailing data beside undefined": packet(2, data=["a", UNDEFINED]) + b"\x01",
    "a deep list": HEAD + DEEP,
    "a deep map": HEAD + DEEP_OBJECT,
    "a deep list beside undefined": HEAD.replace(b"\x92", b"\x93") + pack(UNDEFINED) + DEEP,
    "deep auth": b"\x83\xa4type\x00\xa3nsp\xa1/\xa4data" + DEEP_OBJECT,
    "a deep list that does not end": HEAD + b"\x91" * 100_000,
    "a list of four billion": HEAD + b"\xdd\xff\xff\xff\xff",
    "a map of four billion": HEAD + b"\xdf\xff\xff\xff\xff",
    "text of four gigabytes": HEAD + b"\xdb\xff\xff\xff\xff",
    "an extension of four gigabytes": HEAD + b"\xc9\xff\xff\xff\xff\x00",
    "an impossible moment beside undefined": HEAD.replace(b"\x92", b"\x93")
    + pack(UNDEFINED)
    + b"\xc7\x0c\xff"
    + b"\xff" * 12,
}


@pytest.mark.parametrize(("data", "expected"), PACKETS.values(), ids=PACKETS)
def test_each_packet_is_read(data: bytes, expected: Read) -> None:
    assert decode(data) == expected


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_packet_is_a_protocol_error(data: bytes | str) -> None:
    with pytest.raises(ProtocolError):
        MsgpackDecoder().receive(data)


@pytest.mark.parametrize("data", [data for data, _ in PACKETS.values()], ids=PACKETS)
def test_every_prefix_and_every_trailing_byte_is_refused(data: bytes) -> None:
    for end in range(len(data)):
        with pytest.raises(ProtocolError):
            MsgpackDecoder().receive(data[:end])
    for trailing in (b"\x00", b"\xc0", data):
        with pytest.raises(ProtocolError):
            MsgpackDecoder().receive(data + trailing)


def test_invalid_text_in_an_argument_is_the_requests_fault() -> None:
    # An argument is not looked into before somebody asks for it.
    data = packet(2, data=["a", {"k": "?"}]).replace(b"?", b"\xff")
    arguments = MsgpackDecoder().receive(data).arguments
    with pytest.raises(InvalidRequest, match="utf-8"):
        arguments.first(dict)
    with pytest.raises(InvalidRequest, match="utf-8"):
        arguments.values()


FRAMES: dict[str, tuple[Frame, dict[str, Any]]] = {
    "event": (
        msgpack_format("/").event("a", (1, b"x", {"k": [None]})),
        {"type": 2, "nsp": "/", "data": ["a", 1, b"x", {"k": [None]}]},
    ),
    "event in a namespace": (
        msgpack_format("/ws").event("a", ()),
        {"type": 2, "nsp": "/ws", "data": ["a"]},
    ),
    "ack": (
        msgpack_format("/").acknowledgement(0, (1,)),
        {"type": 3, "nsp": "/", "data": [1], "id": 0},
    ),
    "connect": (
        msgpack_format("/").connect("the-sid"),
        {"type": 0, "nsp": "/", "data": {"sid": "the-sid"}},
    ),
    "connect error": (
        MsgpackFormat("/random").connect_error({"message": "Invalid namespace"}),
        {"type": 4, "nsp": "/random", "data": {"message": "Invalid namespace"}},
    ),
    "disconnect": (msgpack_format("/ws").disconnect(), {"type": 1, "nsp": "/ws"}),
}


@pytest.mark.parametrize(("frame", "body"), FRAMES.values(), ids=FRAMES)
def test_each_frame_is_one_binary_message(frame: Frame, body: dict[str, Any]) -> None:
    (message,) = frame.messages
    assert isinstance(message, bytes)
    assert unpack(message) == body


def test_typed_events_have_their_wire_names() -> None:
    class Priced(Event):
        amount_usd: float

    frame = msgpack_format("/").event("priced", (Priced(1.5),))
    assert isinstance(frame.messages[0], bytes)
    assert unpack(frame.messages[0])["data"] == ["priced", {"amountUSD": 1.5}]


def test_sockets_of_a_kind_share_one_format() -> None:
    assert msgpack_format("/ws") is msgpack_format("/ws")


def test_what_holds_no_undefined_is_not_copied() -> None:
    data = pack({"a": [1, None]})
    assert without_undefined(data) is data


msgpack_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.just(UNDEFINED)
    | st.builds(Ext, st.integers(1, 127), st.binary(max_size=3)),
    lambda values: (
        st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=3), values, max_size=4)
    ),
    max_leaves=15,
)


def stripped(value: Any) -> Any:
    """What `without_undefined` is to do, on objects."""
    if isinstance(value, dict):
        return {key: stripped(item) for key, item in value.items() if item != UNDEFINED}
    if isinstance(value, list):
        return [None if item == UNDEFINED else stripped(item) for item in value]
    return value


@given(st.lists(msgpack_values, max_size=4))
def test_undefined_is_left_out_everywhere(values: list[Any]) -> None:
    assert decode(packet(2, data=["a", *values])).values == stripped(values)


@given(st.text(), st.lists(msgpack_values, max_size=4), st.none() | st.integers(0, 2**53))
def test_what_is_sent_is_what_is_read(name: str, arguments: list[Any], id_: int | None) -> None:
    arguments = stripped(arguments)
    format_ = msgpack_format("/ws")
    frame = (
        format_.event(name, arguments) if id_ is None else format_.acknowledgement(id_, arguments)
    )
    (message,) = frame.messages
    assert isinstance(message, bytes)
    if id_ is None:
        assert decode(message) == Read(EVENT, "/ws", None, name, arguments)
    else:
        assert decode(message) == Read(ACK, "/ws", id_, "", arguments)


almost = st.fixed_dictionaries(
    {
        "type": st.integers(-1, 8) | msgpack_values,
        "nsp": st.sampled_from(["/", ""]) | msgpack_values,
    },
    optional={"data": st.just(["a"]) | msgpack_values, "id": st.integers() | msgpack_values},
)


def mutilated(body: Any, at: int, byte: int, cut: int) -> bytes:
    try:
        data = bytearray(pack(body))
    except OverflowError:
        return b""
    data[at % len(data)] = byte
    return bytes(data[: len(data) - cut % 3])


@given(
    st.binary()
    | st.text()
    | st.builds(mutilated, almost, st.integers(0, 200), st.integers(0, 255), st.integers(0, 2))
)
def test_any_message_is_a_packet_or_a_protocol_error(message: bytes | str) -> None:
    try:
        read = MsgpackDecoder().receive(message)
    except ProtocolError:
        return
    with suppress(InvalidRequest):
        read.arguments.values()
