from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto import Event
from lbproto.frame import Frame
from lbproto.load import Dialect, plain, socketio
from lbproto.load.frames import payload_start
from lbproto.wire.formats import WireFormat
from lbproto.wire.msgpack import msgpack_format
from lbproto.wire.plain import PLAIN_JSON, PLAIN_MSGPACK
from lbproto.wire.socketio import json_format
from tests.load.conftest import speaking


class Tick(Event):
    text: str


FORMATS: dict[str, WireFormat] = {
    "socketio": json_format("/"),
    "plain": PLAIN_JSON,
    "msgpack": PLAIN_MSGPACK,
}


def encoded(
    wire: str, name: str, payload: object, *, answers: int | None = None, offset: str | None = None
) -> bytes:
    """An event as a server sends it."""
    return message_of(FORMATS[wire].event(name, [payload], answers=answers, offset=offset))


def message_of(frame: Frame) -> bytes:
    """The message in it."""
    data = frame.data
    return data[payload_start(data) :]


def marker(dialect: Dialect) -> bytes:
    return dialect.marker if isinstance(dialect.marker, bytes) else dialect.marker.encode()


@given(text=st.text(max_size=60) | st.sampled_from(['42["tick"', '{"event":"tick"', "tick"]))
@pytest.mark.parametrize("offset", [None, "abc.1"])
@pytest.mark.parametrize("wire", FORMATS)
def test_the_marker_is_once_in_the_event(wire: str, offset: str | None, text: str) -> None:
    message = encoded(wire, "tick", Tick(text), offset=offset)
    assert message.count(marker(speaking(wire, event="tick"))) == 1
    assert message.count(marker(speaking(wire, event="ticks"))) == 0
    assert message.count(marker(speaking(wire, event="tic"))) == 0
    assert message.count(marker(speaking(wire, event=""))) == 1


@pytest.mark.parametrize("wire", FORMATS)
def test_what_is_refused_is_known(wire: str) -> None:
    dialect = speaking(wire)
    envelope = {"code": "NOT_FOUND", "message": "no"}
    for name in ("error", "validation_error", "market_data_error"):
        assert dialect.refusal(encoded(wire, name, envelope))
    assert not dialect.refusal(encoded(wire, "tick", {"text": "code"}))
    assert not dialect.refusal(encoded(wire, "subscribed", {"room": "r", "code": "x"}))


def test_what_socketio_refuses_besides() -> None:
    dialect = socketio("t")
    assert dialect.refusal(b'44{"message":"no"}')
    assert dialect.refusal(b'431[{"ok":false,"error":{}}]')
    assert dialect.refusal(b'42["insufficient_credits",{"required":5}]')
    assert not dialect.refusal(b'431[{"ok":true}]')
    assert not dialect.refusal(b'42["price",{"symbol":"44"}]')


@pytest.mark.parametrize("wire", FORMATS)
def test_the_answer_to_a_request_is_told_from_events(wire: str) -> None:
    answered = speaking(wire).answered
    sought = answered if isinstance(answered, bytes) else answered.encode()
    if wire == "socketio":
        acknowledgement = {"ok": True, "event": "echoed", "data": {}}
        message = message_of(FORMATS[wire].acknowledgement(2, [acknowledgement]))
    else:
        message = encoded(wire, "echoed", Tick("x"), answers=2, offset="abc.1")
    assert message.count(sought) == 1
    assert encoded(wire, "echoed", Tick(',"re":2'), offset="abc.1").count(sought) == 0


@pytest.mark.parametrize("wire", ["socketio", "plain"])
@pytest.mark.parametrize("room", ["r", 'a "quoted" one', "München", "{count}", "back\\slash"])
def test_rooms_are_escaped(wire: str, room: str) -> None:
    dialect = speaking(wire)
    message = dialect.say(dialect.publish, count=5, room=room)
    assert isinstance(message, str)
    body = json.loads(message[2:] if wire == "socketio" else message)
    payload = body[1] if wire == "socketio" else body["data"]
    assert payload == {"room": room, "count": 5}


def test_what_is_packed_is_the_same() -> None:
    text, packed = speaking("plain"), speaking("msgpack")
    for name in ("subscribe", "publish", "request"):
        said = packed.say(getattr(packed, name), room="r", count=2)
        assert isinstance(said, bytes)
        same = text.say(getattr(text, name), room="r", count=2)
        assert isinstance(same, str)
        assert msgspec.msgpack.decode(said) == json.loads(same)


def test_what_is_heard_is_known_by_its_start() -> None:
    assert plain("t").hears(b'{"event":"subscribed","data":{}}', plain("t").subscribed)
    assert not plain("t").hears(b'{"event":"unsubscribed","data":{}}', plain("t").subscribed)
    packed = plain("t", packed=True)
    assert packed.hears(encoded("msgpack", "subscribed", {}), packed.subscribed)
    assert packed.hears(encoded("msgpack", "subscribed", {}, answers=1), packed.subscribed)
    assert not packed.hears(encoded("msgpack", "connected", {}), packed.subscribed)


def test_a_namespace_is_in_every_packet() -> None:
    dialect = socketio("t", event="tick", publish="go", request="ask", namespace="/ws")
    assert dialect.opening[0] == ("0", '40/ws,{"token":"t"}')
    assert dialect.opening[1] == ("40/ws,", None)
    assert dialect.say(dialect.subscribe, room="r") == '42/ws,1["subscribe",{"room":"r"}]'
    assert dialect.subscribed == '43/ws,1[{"ok":true'
    assert dialect.marker == '42/ws,["tick"'
    assert dialect.leaving == "41/ws,"
    assert str(dialect.publish).startswith('42/ws,["go",')
    assert str(dialect.request).startswith('42/ws,2["ask",')
    event = json_format("/ws").event("tick", [Tick("x")])
    assert message_of(event).startswith(b'42/ws,["tick"')


def test_each_client_may_be_another_user() -> None:
    answer = socketio("user-{client}").opening[0][1]
    assert answer is not None
    assert socketio("").say(answer, client=17) == '40{"token":"user-17"}'


def test_a_question_without_an_answer() -> None:
    with pytest.raises(ValueError, match="subscribed"):
        Dialect(path="/", subscribe="join {room}")
    with pytest.raises(ValueError, match="answered"):
        Dialect(path="/", request="ask")
    with pytest.raises(ValueError, match="marker"):
        Dialect(path="/", publish="go")


def test_socketio_in_messagepack_is_not_taken_for_what_it_is_not() -> None:
    """It is another wire: nothing of it counts."""
    message = message_of(msgpack_format("/").event("tick", [Tick("x")]))
    assert message.count(marker(socketio("t", event="tick"))) == 0
