"""Socket.IO frames in their textual form: what a client gets, to the byte."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto import Event
from lbproto.frame import Frame, Message
from lbproto.overflow import Overflow
from lbproto.wire import Settings
from lbproto.wire.socketio import JSONDecoder, JSONFormat, PacketType, json_format

ZERO = '{"_placeholder":true,"num":0}'
ONE = '{"_placeholder":true,"num":1}'

ROOT, WS = json_format("/"), json_format("/ws")


class Priced(Event):
    amount_usd: float
    note: str | None = None


class Blob(Event):
    data: bytes
    parts: list[bytes] = msgspec.field(default_factory=list)


FRAMES: dict[str, tuple[Frame, tuple[Message, ...]]] = {
    "event": (ROOT.event("a", ()), ('42["a"]',)),
    "event with arguments": (
        ROOT.event("a", (1, "2", {"3": [True]}, None)),
        ('42["a",1,"2",{"3":[true]},null]',),
    ),
    "event in a namespace": (WS.event("a", (1,)), ('42/ws,["a",1]',)),
    "typed event": (ROOT.event("priced", (Priced(1.5),)), ('42["priced",{"amountUSD":1.5}]',)),
    "beyond ASCII": (ROOT.event("é", ("😀",)), ('42["é","😀"]',)),
    "event with bytes": (
        ROOT.event("a", (b"x", {"b": [b"y"]})),
        (
            '452-["a",{"_placeholder":true,"num":0},{"b":[{"_placeholder":true,"num":1}]}]',
            b"x",
            b"y",
        ),
    ),
    "bytes in a namespace": (
        WS.event("a", (b"x",)),
        ('451-/ws,["a",{"_placeholder":true,"num":0}]', b"x"),
    ),
    "typed event with bytes": (
        ROOT.event("blob", (Blob(b"x", [b"y"]),)),
        (
            f'452-["blob",{{"data":{ZERO},"parts":[{ONE}]}}]',
            b"x",
            b"y",
        ),
    ),
    "ack": (ROOT.acknowledgement(12, ()), ("4312[]",)),
    "ack with arguments": (ROOT.acknowledgement(0, (1, {"a": 2})), ('430[1,{"a":2}]',)),
    "ack in a namespace": (WS.acknowledgement(7, ("a",)), ('43/ws,7["a"]',)),
    "ack with bytes": (
        ROOT.acknowledgement(7, (b"x",)),
        ('461-7[{"_placeholder":true,"num":0}]', b"x"),
    ),
    "ack with bytes in a namespace": (
        WS.acknowledgement(7, (b"x",)),
        ('461-/ws,7[{"_placeholder":true,"num":0}]', b"x"),
    ),
    "connect": (ROOT.connect("the-sid"), ('40{"sid":"the-sid"}',)),
    "connect in a namespace": (WS.connect("the-sid"), ('40/ws,{"sid":"the-sid"}',)),
    "connect error": (ROOT.connect_error({"message": "no"}), ('44{"message":"no"}',)),
    "connect error in a namespace": (
        JSONFormat("/random").connect_error({"message": "Invalid namespace"}),
        ('44/random,{"message":"Invalid namespace"}',),
    ),
    "disconnect": (ROOT.disconnect(), ("41",)),
    "disconnect in a namespace": (WS.disconnect(), ("41/ws,",)),
}


@pytest.mark.parametrize(("frame", "messages"), FRAMES.values(), ids=FRAMES)
def test_each_frame_is_to_the_byte(frame: Frame, messages: tuple[Message, ...]) -> None:
    assert frame.messages == messages


@pytest.mark.parametrize(("frame", "messages"), FRAMES.values(), ids=FRAMES)
def test_its_bytes_are_those_of_its_messages(frame: Frame, messages: tuple[Message, ...]) -> None:
    assert frame.data == Frame.of(messages).data
    assert frame.overflow is Overflow.DISCONNECT


def test_sockets_of_a_kind_share_one_format() -> None:
    # A broadcast encodes once per format object.
    assert json_format("/ws") is WS
    assert json_format("/") is not WS


def test_what_a_request_is_called_is_not_told_beside_an_event() -> None:
    assert ROOT.event("a", (), answers=7).messages == ('42["a"]',)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary(max_size=8),
    lambda values: (
        st.lists(values, max_size=4)
        | st.dictionaries(st.text().filter(lambda key: key != "_placeholder"), values, max_size=4)
    ),
    max_leaves=12,
)


@given(
    name=st.text(),
    arguments=st.lists(json_values, max_size=4),
    namespace=st.sampled_from(["/", "/ws", "/é"]),
    id_=st.none() | st.integers(min_value=0, max_value=10**15 - 1),
)
def test_what_is_sent_is_what_is_read(
    name: str, arguments: list[Any], namespace: str, id_: int | None
) -> None:
    format_ = json_format(namespace)
    frame = (
        format_.event(name, arguments) if id_ is None else format_.acknowledgement(id_, arguments)
    )
    text, *attachments = frame.messages
    assert isinstance(text, str)
    assert text[0] == "4"
    decoder = JSONDecoder(Settings())
    packet = decoder.receive(text[1:])
    for attachment in attachments:
        assert packet is None
        packet = decoder.receive(attachment)
    assert packet is not None
    assert packet.namespace == namespace
    assert packet.type is (PacketType.EVENT if id_ is None else PacketType.ACK)
    assert (packet.name, packet.id) == ((name, None) if id_ is None else ("", id_))
    assert packet.arguments.values() == arguments


def test_a_type_that_cannot_hold_bytes_is_encoded_as_it_is() -> None:
    class Rejecting(msgspec.Struct):
        """Counted on not being taken apart: its rename must hold either way."""

        some_field: int = msgspec.field(name="renamed")

    assert ROOT.event("a", (Rejecting(1),)).messages == ('42["a",{"renamed":1}]',)
