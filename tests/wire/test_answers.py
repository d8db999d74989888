"""An answer with its acknowledgement, encoded once: what a client would get of them apart."""

from __future__ import annotations

import pytest

from lbproto import Event
from lbproto.frame import Frame
from lbproto.wire import WireFormat
from lbproto.wire.msgpack import msgpack_format
from lbproto.wire.plain import PLAIN_JSON, PLAIN_MSGPACK
from lbproto.wire.socketio import json_format


class Odd(Event, event='100%s "of" \\ it'):
    number: int
    text: str


class Holder(Event):
    data: bytes


FORMATS = [json_format("/"), json_format("/50%d"), msgpack_format("/"), PLAIN_JSON, PLAIN_MSGPACK]


@pytest.mark.parametrize(
    "format_", FORMATS, ids=["json", "json in a namespace", "msgpack", "plain", "plain msgpack"]
)
@pytest.mark.parametrize("offset", [None, "e.1"])
@pytest.mark.parametrize(
    "event", [Odd(number=1, text="%d é"), Holder(data=b"%d")], ids=["odd", "bytes"]
)
def test_an_answer_is_the_event_and_its_acknowledgement(
    format_: WireFormat, offset: str | None, event: Event
) -> None:
    name = event.event_name
    apart = format_.event(name, (event,), answers=7, offset=offset).messages
    if not format_.answers_acknowledge:
        body = {"ok": True, "event": name, "data": event}
        apart += format_.acknowledgement(7, (body,)).messages
    for _ in range(2):  # the first time makes what the second uses
        frame = format_.answer(event, 7, offset)
        assert frame.messages == apart
        assert frame.data == Frame.of(apart).data
