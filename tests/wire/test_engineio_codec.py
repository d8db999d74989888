"""Engine.IO packets: what each is read as, and the handshake."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto.frame import Message
from lbproto.wire import ProtocolError, Settings
from lbproto.wire.engineio import CLOSE, MESSAGE, NOOP, PING, PONG, UPGRADE, Engine, State

SETTINGS = Settings(ping_interval=25, ping_timeout=20, max_payload=123_456)


def engine(*, websocket: bool = True) -> Engine:
    return Engine("the-sid", SETTINGS, 0.0, websocket=websocket)


def test_the_packet_types_are_the_specifications() -> None:
    assert (CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP) == ("1", "2", "3", "4", "5", "6")


@pytest.mark.parametrize("websocket", [False, True], ids=["polling", "websocket"])
def test_the_handshake_promises_the_settings(websocket: bool) -> None:
    handshake = engine(websocket=websocket).handshake()
    assert handshake[0] == "0"
    assert msgspec.json.decode(handshake[1:]) == {
        "sid": "the-sid",
        "upgrades": [] if websocket else ["websocket"],
        "pingInterval": 25_000,
        "pingTimeout": 20_000,
        "maxPayload": 123_456,
    }


def test_times_are_whole_milliseconds() -> None:
    settings = Settings(ping_interval=0.3, ping_timeout=0.0199999)
    handshake = Engine("sid", settings, 0.0, websocket=True).handshake()
    assert '"pingInterval":300,"pingTimeout":20,' in handshake


MESSAGES: dict[str, tuple[Message, Message]] = {
    "text": ("4hello", "hello"),
    "empty text": ("4", ""),
    "text that looks like a packet": ("42probe", "2probe"),
    "beyond ASCII": ("4é😀", "é😀"),
    "with a separator": ("4a\x1e4b", "a\x1e4b"),  # a websocket message is one packet
    "binary": (b"\x00\xff", b"\x00\xff"),
    "empty binary": (b"", b""),
    "binary that looks like a packet": (b"1", b"1"),
}


@pytest.mark.parametrize(("packet", "message"), MESSAGES.values(), ids=MESSAGES)
def test_a_message_is_handed_on(packet: Message, message: Message) -> None:
    machine = engine()
    assert machine.receive(packet) == message
    assert machine.state is State.WEBSOCKET


@pytest.mark.parametrize(
    "packet",
    ["", "0", '0{"sid":"x"}', "2", "2probe", "5", "7", "9", "a", "abc", " 4", "-1", "４", "\x00"],  # noqa: RUF001 - a fullwidth digit
)
def test_what_a_client_may_not_send_is_a_protocol_error(packet: str) -> None:
    with pytest.raises(ProtocolError):
        engine().receive(packet)


@pytest.mark.parametrize("packet", [PONG, PONG + "x", NOOP, NOOP + "x"])
def test_what_only_engineio_cares_about_is_not_handed_on(packet: str) -> None:
    machine = engine()
    assert machine.receive(packet) is None
    assert machine.state is State.WEBSOCKET


@pytest.mark.parametrize("packet", [CLOSE, CLOSE + "x"])
def test_a_close_packet_closes(packet: str) -> None:
    machine = engine()
    assert machine.receive(packet) is None
    assert machine.state is State.CLOSED


@given(st.text(st.characters()) | st.binary())
def test_any_packet_is_a_message_or_nothing_or_a_protocol_error(packet: Message) -> None:
    machine = engine()
    try:
        message = machine.receive(packet)
    except ProtocolError:
        assert isinstance(packet, str)
        assert packet[:1] not in {"1", "3", "4", "6"}
        return
    if isinstance(packet, bytes):
        assert message == packet
    else:
        assert message == (packet[1:] if packet[0] == "4" else None)


@given(st.text(st.characters()) | st.binary())
def test_any_probe_is_answered_or_refused(packet: Message) -> None:
    machine = engine(websocket=False)
    try:
        answer = machine.receive_probe(packet)
    except ProtocolError:
        assert packet != "2probe"
        assert machine.state is State.POLLING
        return
    assert (packet, answer) == ("2probe", "3probe")
