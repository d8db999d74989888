"""Socket.IO packets in their textual form: reading them, whole and one message at a time."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto.errors import InvalidRequest
from lbproto.frame import Message
from lbproto.wire import ProtocolError, Settings
from lbproto.wire.formats import RequestId
from lbproto.wire.socketio import JSONDecoder, Packet, PacketType

SETTINGS = Settings(max_attachments=3, max_payload=1_000)
ONE = '{"_placeholder":true,"num":0}'
TWO = '{"_placeholder":true,"num":1}'
DEEP = "[" * 100_000 + "]" * 100_000
DEEP_OBJECT = '{"a":' * 100_000 + "1" + "}" * 100_000


class Read(NamedTuple):
    """A packet as a test spells it."""

    type: PacketType
    namespace: str = "/"
    id: RequestId | None = None
    name: str = ""
    values: list[Any] = []  # noqa: RUF012 - a tuple's field


def read(packet: Packet | None) -> Read | None:
    if packet is None:
        return None
    values = packet.arguments.values()
    return Read(packet.type, packet.namespace, packet.id, packet.name, values)


def decode(*messages: Message) -> Read:
    """Feed a packet's messages to a fresh decoder; only the last completes it."""
    decoder = JSONDecoder(SETTINGS)
    for message in messages[:-1]:
        assert decoder.receive(message) is None
    packet = read(decoder.receive(messages[-1]))
    assert packet is not None
    return packet


CONNECT, DISCONNECT = PacketType.CONNECT, PacketType.DISCONNECT
EVENT, ACK = PacketType.EVENT, PacketType.ACK

TEXT: dict[str, Read] = {
    "0": Read(CONNECT),
    "0{}": Read(CONNECT, values=[{}]),
    '0{"token":"123"}': Read(CONNECT, values=[{"token": "123"}]),
    "0/": Read(CONNECT),
    "0/,": Read(CONNECT),
    "0/ws": Read(CONNECT, "/ws"),
    "0/ws,": Read(CONNECT, "/ws"),
    '0/ws,{"token":"abc"}': Read(CONNECT, "/ws", values=[{"token": "abc"}]),
    '0/ws?token=1,{"a":1}': Read(CONNECT, "/ws", values=[{"a": 1}]),
    "0/?token=1": Read(CONNECT),
    "0/ws?": Read(CONNECT, "/ws"),
    "0/a/b-c_d": Read(CONNECT, "/a/b-c_d"),
    "0/é,": Read(CONNECT, "/é"),
    "1": Read(DISCONNECT),
    "1/ws": Read(DISCONNECT, "/ws"),
    "1/ws,": Read(DISCONNECT, "/ws"),
    '2["a"]': Read(EVENT, name="a"),
    '2["a",1,"2",{"3":[true]}]': Read(EVENT, name="a", values=[1, "2", {"3": [True]}]),
    '2[ "a" , null ]': Read(EVENT, name="a", values=[None]),
    '2[""]': Read(EVENT),
    '2["é\\u00e9\\n"]': Read(EVENT, name="éé\n"),
    '2/ws,["a"]': Read(EVENT, "/ws", name="a"),
    '20["a"]': Read(EVENT, id=0, name="a"),
    '2/ws,12["a",1]': Read(EVENT, "/ws", 12, "a", [1]),
    '2999999999999999["a"]': Read(EVENT, id=999_999_999_999_999, name="a"),
    '2007["a"]': Read(EVENT, id=7, name="a"),
    '2["a",{"_placeholder":true,"num":0}]': Read(
        EVENT, name="a", values=[{"_placeholder": True, "num": 0}]
    ),
    '50-["a"]': Read(EVENT, name="a"),
    "312[]": Read(ACK, id=12),
    '30[1,"2"]': Read(ACK, id=0, values=[1, "2"]),
    "3/ws,5[null]": Read(ACK, "/ws", 5, values=[None]),
    "60-1[]": Read(ACK, id=1),
}

BINARY: dict[tuple[Message, ...], Read] = {
    (f'51-["a",{ONE}]', b"x"): Read(EVENT, name="a", values=[b"x"]),
    (f'52-["a",{ONE},{TWO}]', b"x", b""): Read(EVENT, name="a", values=[b"x", b""]),
    (f'52-["a",{TWO},{ONE}]', b"x", b"y"): Read(EVENT, name="a", values=[b"y", b"x"]),
    (f'51-/ws,7["a",{{"b":[{ONE}]}}]', b"x"): Read(EVENT, "/ws", 7, "a", [{"b": [b"x"]}]),
    (f"61-7[{ONE}]", b"x"): Read(ACK, id=7, values=[b"x"]),
    (f"61-/ws,7[{ONE}]", b"x"): Read(ACK, "/ws", 7, values=[b"x"]),
    # Lies that harm nobody: an attachment that nothing names, one that is named twice.
    ('51-["a"]', b"x"): Read(EVENT, name="a"),
    (f'52-["a",{TWO}]', b"x", b"y"): Read(EVENT, name="a", values=[b"y"]),
    (f'51-["a",{ONE},{ONE}]', b"x"): Read(EVENT, name="a", values=[b"x", b"x"]),
    # Not placeholders, though they look a little like them.
    ('51-["a",{"_placeholder":1,"num":0}]', b"x"): Read(
        EVENT, name="a", values=[{"_placeholder": 1, "num": 0}]
    ),
    ('51-["a",{"num":0}]', b"x"): Read(EVENT, name="a", values=[{"num": 0}]),
}

MALFORMED = {
    "nothing": "",
    "an unknown type": "7",
    "a letter for a type": 'abc["a"]',
    "a fullwidth digit for a type": '２["a"]',  # noqa: RUF001
    "a space before it": ' 2["a"]',
    "an Engine.IO prefix too many": '42["a"]',
    "an event without a payload": "2",
    "an event that is an object": "2{}",
    "an event that is a string": '2"a"',
    "an event without a name": "2[]",
    "an event named by a number": "2[1]",
    "an event named by null": "2[null]",
    "an event named by an object": '2[{"a":1}]',
    "an event cut short": '2["a"',
    "an event cut in its name": '2["a',
    "trailing data behind an event": '2["a"]x',
    "a second event behind it": '2["a"]2["a"]',
    "letters for an id": '2abc["a"]',
    "a negative id": '2-1["a"]',
    "a fraction for an id": '21.5["a"]',
    "an id of 16 digits": '21234567890123456["a"]',
    "an id of a million digits": "2" + "1" * 1_000_000 + '["a"]',
    "a fullwidth id": '2１["a"]',  # noqa: RUF001
    "a namespace that does not end": '2/ws["a"]',
    "an ack without an id": "3[]",
    "an ack without a payload": "312",
    "an ack with an object": "312{}",
    "an ack in a namespace without an id": "3/ws,[]",
    "auth that is a list": "0[]",
    "auth that is null": "0null",
    "auth that is a string": '0"token"',
    "auth cut short": '0{"token":',
    "trailing data behind auth": "0{}x",
    "a disconnect with a payload": "1{}",
    "a disconnect in a namespace with a payload": "1/ws,[]",
    "a refusal from a client": '4{"message":"no"}',
    "a bare refusal": "4",
    "a binary event without a count": '5["a"]',
    "a binary event without a dash": '51["a"]',
    "a binary event without digits": '5-["a"]',
    "a negative count": '5-1-["a"]',
    "one attachment too many": f'54-["a",{ONE}]',
    "a count of five digits": '500001-["a"]',
    "a count of a million digits": "5" + "1" * 1_000_000 + '-["a"]',
    "a binary event that is an object": "51-{}",
    "a binary event without a payload": "51-",
    "a deep event": f'2["a",{DEEP}]',
    "a deep object": f'2["a",{DEEP_OBJECT}]',
    "a deep list that does not end": '2["a",' + "[" * 100_000,
    "a deep ack": f"31{DEEP}",
    "deep auth": "0" + DEEP_OBJECT,
    "a deep binary event": f'51-["a",{DEEP}]',
    "NaN": '2["a",NaN]',
    "infinity": '2["a",-Infinity]',
    "a lone surrogate, escaped, in a name": '2["\\ud800"]',
    "half a surrogate pair, escaped": '2["\\ud83dx"]',
    "a lone surrogate in a name": '2["\ud800"]',
    "a lone surrogate in a namespace": "0/\ud800",
    "a lone surrogate in auth": '0{"token":"\udfff"}',
    "a lone surrogate in a binary event": '51-["a","\ud800"]',
    "a control character in a string": '2["a\n"]',
    "a comment": '2["a"/* */]',
    "single quotes": "2['a']",
    "a trailing comma": '2["a",]',
}


@pytest.mark.parametrize(("text", "packet"), TEXT.items(), ids=TEXT)
def test_each_text_packet_is_read(text: str, packet: Read) -> None:
    assert decode(text) == packet


@pytest.mark.parametrize(("messages", "packet"), BINARY.items(), ids=lambda case: str(case)[:40])
def test_each_binary_packet_is_read_message_by_message(
    messages: tuple[Message, ...], packet: Read
) -> None:
    assert decode(*messages) == packet


def test_packets_on_one_connection_do_not_touch_each_other() -> None:
    decoder = JSONDecoder(SETTINGS)
    cases = [((text,), packet) for text, packet in TEXT.items()] + list(BINARY.items())
    for messages, packet in cases * 2:
        answers = [read(decoder.receive(message)) for message in messages]
        assert answers == [None] * (len(messages) - 1) + [packet]


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_packet_is_a_protocol_error(text: str) -> None:
    with pytest.raises(ProtocolError) as refusal:
        JSONDecoder(SETTINGS).receive(text)
    assert len(str(refusal.value).encode()) <= 123  # it is the reason in a close frame


@pytest.mark.parametrize("text", TEXT, ids=TEXT)
def test_every_prefix_of_a_packet_is_read_or_refused(text: str) -> None:
    for end in range(len(text)):
        try:
            JSONDecoder(SETTINGS).receive(text[:end])
        except ProtocolError:
            continue


@pytest.mark.parametrize("text", [text for text in TEXT if text[-1] in "]}"])
@pytest.mark.parametrize("trailing", ["x", "0", "[]", "\x00", "]"])
def test_trailing_data_is_refused(text: str, trailing: str) -> None:
    with pytest.raises(ProtocolError):
        JSONDecoder(SETTINGS).receive(text + trailing)


LIES: dict[str, tuple[Message, ...]] = {
    "a number beyond the announced": (f'51-["a",{TWO}]', b"x"),
    "a negative number": ('51-["a",{"_placeholder":true,"num":-1}]', b"x"),
    "a number that is text": ('51-["a",{"_placeholder":true,"num":"0"}]', b"x"),
    "a number that is true": ('51-["a",{"_placeholder":true,"num":true}]', b"x"),
    "a fraction": ('51-["a",{"_placeholder":true,"num":0.0}]', b"x"),
    "an enormous number": ('51-["a",{"_placeholder":true,"num":1' + "0" * 400 + "}]", b"x"),
    "no number": ('51-["a",{"_placeholder":true}]', b"x"),
    "an attachment for a name": (f"51-[{ONE}]", b"x"),
    "nothing but attachments": ("51-[]", b"x"),
    "an ack of nothing": (f"61-[{ONE}]", b"x"),
    "text where an attachment was announced": (f'51-["a",{ONE}]', '2["b"]'),
    "a packet where the second attachment was announced": (f'52-["a",{ONE},{TWO}]', b"x", "1"),
    "an attachment nobody announced": (b"x",),
    "an attachment after a text packet": ('2["a"]', b"x"),
    "one attachment more than announced": (f'51-["a",{ONE}]', b"x", b"y"),
    "an attachment after a count of none": ('50-["a"]', b"x"),
    "larger than a payload": (f'51-["a",{ONE}]', b"x" * 1_001),
    "together larger than a payload": (f'52-["a",{ONE},{TWO}]', b"x" * 600, b"y" * 600),
    "larger though nothing names it": ('52-["a"]', b"x" * 999, b"yy"),
}


@pytest.mark.parametrize("messages", LIES.values(), ids=LIES)
def test_attachments_that_lie_are_a_protocol_error(messages: tuple[Message, ...]) -> None:
    decoder = JSONDecoder(SETTINGS)
    for message in messages[:-1]:
        decoder.receive(message)
    with pytest.raises(ProtocolError):
        decoder.receive(messages[-1])


def test_as_much_as_a_payload_may_hold_is_taken() -> None:
    assert decode(f'52-["a",{ONE},{TWO}]', b"x" * 600, b"y" * 400).values[1] == b"y" * 400
    assert len(decode('53-["a"]', b"", b"", b"x" * 1_000).values) == 0


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + "0" * 5_000], ids=lambda n: n[:6])
def test_a_number_out_of_range_is_the_requests_fault_not_the_packets(number: str) -> None:
    # Limits are counted before a payload is looked into, so the packet itself is fine.
    packet = JSONDecoder(SETTINGS).receive(f'2["a",{number}]')
    assert packet is not None
    with pytest.raises(InvalidRequest):
        packet.arguments.first(float)
    with pytest.raises(InvalidRequest):
        packet.arguments.values()


def test_a_large_whole_number_is_kept() -> None:
    assert decode('2["a",123456789012345678901234567890]').values == [
        123456789012345678901234567890
    ]


pieces = st.sampled_from(
    [
        *"0123456789",
        "-",
        "/",
        ",",
        "?",
        "[",
        "]",
        "{",
        "}",
        '"a"',
        '"',
        ":",
        "null",
        "1e999",
        ONE,
        '"_placeholder"',
        '"num"',
        "true",
        "\ud800",
        "é",
        "\\u",
        " ",
        "51-",
        '2["a"',
        "/ws,",
    ]
)
any_text = st.text(st.characters()) | st.lists(pieces).map("".join)


@given(st.lists(any_text | st.binary(max_size=8), min_size=1, max_size=6))
def test_any_messages_are_packets_or_a_protocol_error(messages: list[Message]) -> None:
    decoder = JSONDecoder(SETTINGS)
    for message in messages:
        try:
            packet = decoder.receive(message)
        except ProtocolError:
            return
        if packet is not None:
            assert packet.type in (CONNECT, DISCONNECT, EVENT, ACK)
            assert packet.namespace.startswith("/")
            with suppress(InvalidRequest):
                packet.arguments.values()
