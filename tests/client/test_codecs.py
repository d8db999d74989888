"""What the client makes of messages: those of the server's own codecs, and rubbish."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lbproto import Encoded, Event
from lbproto.client import Wire
from lbproto.client.codecs import CODECS, Heard
from lbproto.frame import Message
from lbproto.wire import ProtocolError
from lbproto.wire.formats import WireFormat
from lbproto.wire.msgpack import msgpack_format
from lbproto.wire.plain import PLAIN_JSON, PLAIN_MSGPACK
from lbproto.wire.socketio import json_format
from tests.client.kit import WIRES

FORMATS: dict[Wire, WireFormat] = {
    "plain-json": PLAIN_JSON,
    "plain-msgpack": PLAIN_MSGPACK,
    "socketio-json": json_format("/"),
    "socketio-msgpack": msgpack_format("/"),
}


class Whole(Event):
    number: int
    raw: bytes
    rows: Encoded
    by_number: dict[int, str]


WHOLE = Whole(5, b"\x00\xff", Encoded.of_json(b'[{"a":1}]'), {1: "one"})


def heard(wire: Wire, *messages: Message) -> Heard:
    codec = CODECS[wire](10_000)
    found = [codec.receive(message) for message in messages]
    assert found[:-1] == [None] * (len(messages) - 1)
    assert found[-1] is not None
    return found[-1]


@pytest.mark.parametrize("wire", WIRES)
def test_events_are_read_whatever_is_in_them(wire: Wire) -> None:
    frame = FORMATS[wire].event("whole", (WHOLE,), offset="x.1")
    found = heard(wire, *frame.messages)
    assert (found.kind, found.name, found.offset) == ("event", "whole", "x.1")
    assert found.typed(Whole) == WHOLE
    assert found.typed(Whole) is found.typed(Whole)
    assert found.payload.plain()["rows"] == [{"a": 1}]


@pytest.mark.parametrize("wire", WIRES)
def test_an_event_may_ask_to_be_acknowledged(wire: Wire) -> None:
    frame = FORMATS[wire].event("sure", ({},), asks=7)
    assert heard(wire, *frame.messages).asks == 7


@pytest.mark.parametrize("wire", WIRES)
def test_acknowledgements_are_told_from_events(wire: Wire) -> None:
    frame = FORMATS[wire].acknowledgement(7, ({"ok": True, "data": b"x"},))
    found = heard(wire, *frame.messages)
    assert (found.kind, found.re) == ("ack", 7)
    assert found.payload.plain()["ok"] is True


@pytest.mark.parametrize("wire", WIRES)
def test_nothing_is_an_empty_object(wire: Wire) -> None:
    class Empty(Event):
        number: int = 3

    several: list[tuple[Any, ...]] = [(), (None,), ({},)]
    for arguments in several:
        frame = FORMATS[wire].event("empty", arguments)
        assert heard(wire, *frame.messages).typed(Empty) == Empty()


DEEP = "[" * 9_000
NESTED = b"\x91" * 9_000


def packed(value: Any) -> bytes:
    return msgspec.msgpack.encode(value)


RUBBISH: list[tuple[Wire, Message]] = [
    ("plain-json", "hello"),
    ("plain-json", ""),
    ("plain-json", "[1, 2]"),
    ("plain-json", b"{}"),
    ("plain-json", '{"data": {}}'),
    ("plain-json", '{"event": 5}'),
    ("plain-json", '{"event": "pong", "re": {}}'),
    ("plain-json", '{"event": "pong", "offset": 5}'),
    ("plain-json", f'{{"event": "pong", "data": {DEEP}'),
    ("plain-msgpack", "{}"),
    ("plain-msgpack", b"\xc1"),
    ("plain-msgpack", packed([1])),
    ("plain-msgpack", NESTED),
    ("socketio-json", ""),
    ("socketio-json", "9"),
    ("socketio-json", "49"),
    ("socketio-json", "42{"),
    ("socketio-json", "42[]"),
    ("socketio-json", "42[5]"),
    ("socketio-json", f"42{DEEP}"),
    ("socketio-json", "43[]"),
    ("socketio-json", "43" + "1" * 5_000 + "[]"),
    ("socketio-json", '451000-["tick",{}]'),
    ("socketio-json", b"{}"),
    ("socketio-msgpack", "42[]"),
    ("socketio-msgpack", b"\xc1"),
    ("socketio-msgpack", packed({"type": 9, "nsp": "/"})),
    ("socketio-msgpack", packed({"type": 2, "nsp": "/", "data": []})),
    ("socketio-msgpack", packed({"type": 2, "nsp": "/", "data": [5]})),
    ("socketio-msgpack", packed({"type": 2, "nsp": "/", "data": {}})),
    ("socketio-msgpack", packed({"type": "2", "nsp": "/"})),
    ("socketio-msgpack", NESTED),
]


@pytest.mark.parametrize(("wire", "message"), RUBBISH)
def test_rubbish_is_refused(wire: Wire, message: Message) -> None:
    with pytest.raises(ProtocolError):
        CODECS[wire](10_000).receive(message)


@pytest.mark.parametrize("wire", WIRES)
def test_a_payload_that_does_not_fit_is_refused_when_it_is_looked_at(wire: Wire) -> None:
    frame = FORMATS[wire].event("whole", ({"number": "five"},))
    with pytest.raises(ProtocolError, match=r"`whole` is not a Whole: Expected `int`, got `str` -"):
        heard(wire, *frame.messages).typed(Whole)
