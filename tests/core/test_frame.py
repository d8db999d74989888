from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as Reference
from websockets.frames import Opcode

from lbproto.frame import Frame, Message, frame_of, joined

LENGTHS = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000]

messages = st.lists(st.one_of(st.text(max_size=200), st.binary(max_size=200)), min_size=1)


def reference(message: Message) -> bytes:
    opcode = Opcode.TEXT if isinstance(message, str) else Opcode.BINARY
    payload = message.encode() if isinstance(message, str) else message
    return Reference(opcode, payload).serialize(mask=False, extensions=[])


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("character", ["x", "é", b"x"], ids=["ascii", "text", "bytes"])
def test_the_data_is_the_websocket_frames(character: Message, length: int) -> None:
    message = character * length
    frame = Frame.of([message, "behind"])
    assert frame.data == reference(message) + reference("behind")
    assert frame.messages == (message, "behind")


@given(messages)
def test_the_messages_can_be_read_from_it(messages: list[Message]) -> None:
    assert Frame.of(messages).messages == tuple(messages)


@given(st.text(), st.lists(st.binary(max_size=200), max_size=3))
def test_a_text_and_its_attachments(text: str, attachments: list[bytes]) -> None:
    assert frame_of(text.encode(), attachments).messages == (text, *attachments)


def test_messages_are_read_once_for_all() -> None:
    frame = frame_of(b"text")
    assert frame.messages is frame.messages


def test_joined() -> None:
    first, second = frame_of(b"1"), frame_of(b"2", [b"3"])
    assert joined([first]) is first.data
    assert joined([first, second]) == first.data + second.data
