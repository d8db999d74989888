"""The client's side of the wires: what no client could read is told from what it can."""

from __future__ import annotations

import msgspec
import pytest

from lbproto.frame import Message
from lbproto.testing import Wire
from lbproto.testing.codecs import CODECS, Heard


def packed(value: object) -> bytes:
    return msgspec.msgpack.encode(value)


@pytest.mark.parametrize(
    ("wire", "message", "heard"),
    [
        ("socketio-json", '42["tick",{"n":1},"off"]', Heard("event", "tick", {"n": 1}, "off")),
        ("socketio-json", '427["tick",{}]', Heard("event", "tick", {}, asks=7)),
        ("socketio-json", '42["tick"]', Heard("event", "tick")),
        ("socketio-json", '431[{"ok":true}]', Heard("ack", data={"ok": True}, re=1)),
        ("socketio-json", "41", Heard("disconnect")),
        (
            "socketio-msgpack",
            packed({"type": 2, "nsp": "/", "data": ["tick", {}], "id": 7}),
            Heard("event", "tick", {}, asks=7),
        ),
        (
            "plain-json",
            '{"event":"tick","data":{},"re":1,"offset":"o"}',
            Heard("event", "tick", {}, "o", 1),
        ),
        (
            "plain-msgpack",
            packed({"event": "ack", "data": 5, "re": 1}),
            Heard("ack", "ack", 5, re=1),
        ),
    ],
)
def test_what_a_client_reads(wire: Wire, message: Message, heard: Heard) -> None:
    assert CODECS[wire]().receive(message) == heard


@pytest.mark.parametrize(
    ("wire", "message", "why"),
    [
        ("socketio-json", "9", "neither a packet nor"),
        ("socketio-json", "49", "not a packet"),
        ("socketio-json", b"x", "no packet announced"),
        ("socketio-json", '42["tick",{},"off","more"]', "nothing else"),
        ("socketio-json", '42["tick",{},{}]', "nothing else"),
        ("socketio-msgpack", "42[]", "speaks MessagePack"),
        ("plain-json", '{"event":"tick","data":{},"to":"me"}', "no field 'to'"),
        ("plain-msgpack", "{}", "speaks MessagePack"),
    ],
)
def test_what_no_client_reads(wire: Wire, message: Message, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        CODECS[wire]().receive(message)


def test_a_packet_waits_for_its_attachments() -> None:
    codec = CODECS["socketio-json"]()
    head = '452-["two",{"a":{"_placeholder":true,"num":0},"b":{"_placeholder":true,"num":1}}]'
    assert codec.receive(head) is None
    assert codec.receive(b"x") is None
    assert codec.receive(b"y") == Heard("event", "two", {"a": b"x", "b": b"y"})
    assert codec.receive(head) is None
    with pytest.raises(ValueError, match="neither a packet nor"):
        codec.receive('42["tick"]')
