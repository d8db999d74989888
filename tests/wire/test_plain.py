"""Plain WebSocket frames in JSON and in MessagePack."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import Ext

from lbproto import Event
from lbproto.errors import InvalidRequest
from lbproto.frame import Message
from lbproto.wire.plain import PLAIN_JSON, PLAIN_MSGPACK, SUBPROTOCOLS, PlainFormat

pack = msgspec.msgpack.encode

UNDEFINED = Ext(0, b"\x00")
FORMATS = [pytest.param(PLAIN_JSON, id="json"), pytest.param(PLAIN_MSGPACK, id="msgpack")]


def written(format_: PlainFormat, body: Any) -> Message:
    return msgspec.json.encode(body).decode() if format_ is PLAIN_JSON else pack(body)


def read(message: Message) -> Any:
    return (
        msgspec.json.decode(message)
        if isinstance(message, str)
        else msgspec.msgpack.decode(message)
    )


REQUESTS: dict[str, tuple[dict[str, Any], tuple[str, Any, list[Any]]]] = {
    "event": ({"event": "a"}, ("a", None, [])),
    "data": ({"event": "a", "data": {"k": 1}}, ("a", None, [{"k": 1}])),
    "null data": ({"event": "a", "data": None}, ("a", None, [None])),
    "data of another type": ({"event": "a", "data": [1]}, ("a", None, [[1]])),
    "id": ({"event": "a", "id": 7}, ("a", 7, [])),
    "id zero": ({"event": "a", "id": 0}, ("a", 0, [])),
    "negative id": ({"event": "a", "id": -7}, ("a", -7, [])),
    "text id": ({"event": "a", "id": "seven"}, ("a", "seven", [])),
    "longest id": ({"event": "a", "id": "é" * 64}, ("a", "é" * 64, [])),
    "null id": ({"event": "a", "id": None}, ("a", None, [])),
    "unknown fields": ({"event": "a", "v": 2, "x": {"y": []}}, ("a", None, [])),
    "empty name": ({"event": ""}, ("", None, [])),
    "beyond ASCII": ({"event": "é😀", "data": {"é": "😀"}}, ("é😀", None, [{"é": "😀"}])),
}


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(("body", "expected"), REQUESTS.values(), ids=REQUESTS)
def test_each_request_is_read(
    format_: PlainFormat, body: dict[str, Any], expected: tuple[str, Any, list[Any]]
) -> None:
    request = format_.decode(written(format_, body))
    assert (request.name, request.id, request.arguments.values()) == expected


# What is wrong with a request is told with its path.
UNFIT: dict[str, tuple[Any, str]] = {
    "a list": (["a"], "Expected `object`, got `array`"),
    "a number": (1, "Expected `object`, got `int`"),
    "null": (None, "Expected `object`, got `null`"),
    "no event": ({"data": {}}, "Object missing required field `event`"),
    "an event that is a number": ({"event": 5}, "Expected `str`, got `int` - at `$.event`"),
    "an event that is null": ({"event": None}, "Expected `str`, got `null` - at `$.event`"),
    "an id that is a list": (
        {"event": "a", "id": []},
        "Expected `int | str | null`, got `array` - at `$.id`",
    ),
    "an id that is a fraction": (
        {"event": "a", "id": 1.5},
        "Expected `int | str | null`, got `float` - at `$.id`",
    ),
    "an id that is true": (
        {"event": "a", "id": True},
        "Expected `int | str | null`, got `bool` - at `$.id`",
    ),
    "an id that is too long": (
        {"event": "a", "id": "x" * 65},
        "An id has at most 64 characters - at `$.id`",
    ),
}


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize(("body", "message"), UNFIT.values(), ids=UNFIT)
def test_an_unfit_request_is_refused_with_its_path(
    format_: PlainFormat, body: Any, message: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        format_.decode(written(format_, body))
    if format_ is PLAIN_MSGPACK:
        message = message.replace("got `null`", "got `None`")  # msgspec's word for it
    assert refusal.value.message == message


DEEP = "[" * 100_000 + "]" * 100_000
DEEP_PACKED = b"\x91" * 100_000 + b"\x01"
HEAD = b"\x82\xa5event\xa1a\xa4data"

MALFORMED_JSON: dict[str, Message] = {
    "nothing": "",
    "binary": b'{"event":"a"}',
    "cut short": '{"event":"a"',
    "trailing data": '{"event":"a"}x',
    "two requests": '{"event":"a"}{"event":"b"}',
    "not JSON": "event: a",
    "NaN": '{"event":"a","data":NaN}',
    "deep data": f'{{"event":"a","data":{DEEP}}}',
    "a deep unknown field": f'{{"event":"a","x":{DEEP}}}',
    "a lone surrogate, escaped": '{"event":"\\ud800"}',
    "a lone surrogate": '{"event":"\ud800"}',
    "a lone surrogate in data": '{"event":"a","data":"\udfff"}',
    "an id of 5,000 digits": '{"event":"a","id":1' + "0" * 5_000 + "}",
    "a Socket.IO packet": '42["a"]',
}

MALFORMED_MSGPACK: dict[str, Message] = {
    "nothing": b"",
    "text": '{"event":"a"}',
    "cut short": pack({"event": "a"})[:-1],
    "trailing data": pack({"event": "a"}) + b"\x01",
    "a byte that means nothing": b"\xc1",
    "invalid UTF-8": b"\x81\xa5event\xa1\xff",
    "invalid UTF-8 in an id": b"\x82\xa5event\xa1a\xa2id\xa1\xff",
    "an undefined event": pack({"event": UNDEFINED}),
    "deep data": HEAD + DEEP_PACKED,
    "deep data beside undefined": b"\x83" + HEAD[1:] + DEEP_PACKED + b"\xa1x\xd4\x00\x00",
    "a list of four billion": HEAD + b"\xdd\xff\xff\xff\xff",
    "a key that is a map, beside undefined": HEAD + b"\x82\x81\x01\x01\x01\x01\xd4\x00\x00",
}


@pytest.mark.parametrize("message", MALFORMED_JSON.values(), ids=MALFORMED_JSON)
def test_malformed_json_is_an_invalid_request(message: Message) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        PLAIN_JSON.decode(message)
    assert 0 < len(refusal.value.message) < 200


@pytest.mark.parametrize("message", MALFORMED_MSGPACK.values(), ids=MALFORMED_MSGPACK)
def test_malformed_msgpack_is_an_invalid_request(message: Message) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        PLAIN_MSGPACK.decode(message)
    assert 0 < len(refusal.value.message) < 200


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("body", [body for body, _ in REQUESTS.values()], ids=REQUESTS)
def test_every_prefix_is_refused(format_: PlainFormat, body: dict[str, Any]) -> None:
    message = written(format_, body)
    for end in range(len(message)):
        with pytest.raises(InvalidRequest):
            format_.decode(message[:end])


def test_undefined_is_an_absent_field() -> None:
    request = PLAIN_MSGPACK.decode(
        pack({"event": "a", "id": UNDEFINED, "data": {"k": UNDEFINED, "l": [UNDEFINED, 1]}})
    )
    assert (request.id, request.arguments.values()) == (None, [{"l": [None, 1]}])
    request = PLAIN_MSGPACK.decode(pack({"event": "a", "data": UNDEFINED}))
    assert request.arguments.values() == []


class Priced(Event):
    amount_usd: float


@pytest.mark.parametrize("format_", FORMATS)
def test_each_answer_is_one_message(format_: PlainFormat) -> None:
    cases = {
        format_.event("priced", (Priced(1.5),)): {"event": "priced", "data": {"amountUSD": 1.5}},
        format_.event("a", ()): {"event": "a", "data": {}},
        format_.event("a", ({"k": 1}, "more"), answers=7): {
            "event": "a",
            "data": {"k": 1},
            "re": 7,
        },
        format_.event("a", (), answers=0): {"event": "a", "data": {}, "re": 0},
        format_.event("a", (), answers=""): {"event": "a", "data": {}, "re": ""},
        format_.acknowledgement("x", ({"ok": True},)): {
            "event": "ack",
            "data": {"ok": True},
            "re": "x",
        },
    }
    for frame, body in cases.items():
        (message,) = frame.messages
        assert isinstance(message, str) == (format_ is PLAIN_JSON)
        assert read(message) == body
    assert format_.answers_acknowledge


def test_json_is_the_default_subprotocol() -> None:
    assert list(SUBPROTOCOLS.items()) == [
        ("lbproto.v1.json", PLAIN_JSON),
        ("lbproto.v1.msgpack", PLAIN_MSGPACK),
    ]


pieces = st.sampled_from(
    ['{"event":"a"', ',"id":', ',"data":', "}", "{", "[", "]", '"', "1", "null", "-", "\ud800", "é"]
)
any_text = st.text(st.characters()) | st.lists(pieces).map("".join)
packed_pieces = st.sampled_from(
    [
        b"\x81",
        b"\x82",
        b"\xa5event",
        b"\xa2id",
        b"\xa4data",
        b"\xa1a",
        b"\xd4\x00\x00",
        b"\x91",
        b"\xc0",
        b"\xff",
        b"\xa1\xff",
        b"\xdd\xff\xff",
        b"\xc7\x0c\xff",
        b"\x01",
        b"\xc1",
    ]
)
any_bytes = st.binary() | st.lists(packed_pieces).map(b"".join)


@pytest.mark.parametrize("format_", FORMATS)
@given(message=any_text | any_bytes)
def test_any_message_is_a_request_or_invalid(format_: PlainFormat, message: Message) -> None:
    try:
        request = format_.decode(message)
        request.arguments.values()
    except InvalidRequest:
        return
    assert isinstance(request.name, str)
