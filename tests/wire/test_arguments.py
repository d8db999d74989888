"""A payload is decoded when somebody asks for it, into what they ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from lbproto import Event
from lbproto.errors import InvalidRequest
from lbproto.wire import Arguments
from lbproto.wire.arguments import JSONArguments, MsgpackArguments, ObjectArguments

pack = msgspec.msgpack.encode


def from_json(values: Sequence[Any]) -> Arguments:
    return JSONArguments([Raw(msgspec.json.encode(value)) for value in values])


def from_msgpack(values: Sequence[Any]) -> Arguments:
    return MsgpackArguments([Raw(pack(value)) for value in values])


def from_objects(values: Sequence[Any]) -> Arguments:
    return ObjectArguments(list(values))


Make = Callable[[Sequence[Any]], Arguments]

every_form = pytest.mark.parametrize(
    "make", [from_json, from_msgpack, from_objects], ids=["json", "msgpack", "objects"]
)


class Request(Event):
    room: Annotated[str, msgspec.Meta(min_length=1, max_length=8)]
    next_cursor: int | None = None
    tags: list[str] = msgspec.field(default_factory=list)


class Optional(Event):
    limit: int = 50


class WithBytes(Event):
    blob: bytes


class Nest(Event):
    inner: Nest | None = None


@every_form
def test_a_payload_is_decoded_into_what_is_asked_for(make: Make) -> None:
    arguments = make([{"room": "a", "nextCursor": 7, "tags": ["x"]}])
    assert arguments.first(Request) == Request("a", 7, ["x"])
    assert arguments.first(dict) == {"room": "a", "nextCursor": 7, "tags": ["x"]}
    assert arguments.first(Request) == Request("a", 7, ["x"])  # as often as one likes


@every_form
@pytest.mark.parametrize("values", [[], [None], [{}]], ids=["none", "null", "object"])
def test_no_argument_null_and_an_empty_object_are_the_same(make: Make, values: list[Any]) -> None:
    assert make(values).first(Optional) == Optional()
    assert make(values).first(dict) == {}
    with pytest.raises(InvalidRequest, match="missing required field `room`"):
        make(values).first(Request)


@every_form
def test_what_comes_behind_the_first_is_ignored(make: Make) -> None:
    assert make([{"limit": 1}, {"limit": 2}, "x"]).first(Optional) == Optional(1)
    assert make([None, {"limit": 2}]).first(Optional) == Optional()


@every_form
def test_unknown_fields_are_ignored(make: Make) -> None:
    assert make([{"limit": 1, "newer": {"field": []}}]).first(Optional) == Optional(1)


UNFIT: dict[str, tuple[Any, str]] = {
    "wrong type": ({"room": 5}, "Expected `str`, got `int` - at `$.room`"),
    "deep inside": ({"room": "a", "tags": ["x", 5]}, "Expected `str`, got `int` - at `$.tags[1]`"),
    "the wire's name, not Python's": (
        {"room": "a", "nextCursor": "x"},
        "Expected `int | null`, got `str` - at `$.nextCursor`",
    ),
    "too short": ({"room": ""}, "Expected `str` of length >= 1 - at `$.room`"),
    "too long": ({"room": "x" * 9}, "Expected `str` of length <= 8 - at `$.room`"),
    "missing": ({"tags": []}, "Object missing required field `room`"),
    "a list": ([], "Expected `object`, got `array`"),
    "text": ("room", "Expected `object`, got `str`"),
    "a number": (0, "Expected `object`, got `int`"),
    "false": (False, "Expected `object`, got `bool`"),
}


@every_form
@pytest.mark.parametrize(("value", "message"), UNFIT.values(), ids=UNFIT)
def test_what_does_not_fit_is_refused_with_its_path(make: Make, value: Any, message: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        make([value]).first(Request)
    assert refusal.value.message == message


@every_form
def test_all_arguments_are_there_as_plain_values(make: Make) -> None:
    assert make([]).values() == []
    assert make([1, "a", None, [True], {"k": 1.5}]).values() == [1, "a", None, [True], {"k": 1.5}]


def test_bytes_arrive_as_bytes() -> None:
    assert from_objects([{"blob": b"\xff"}]).first(WithBytes) == WithBytes(b"\xff")
    assert from_msgpack([{"blob": b"\xff"}]).first(WithBytes) == WithBytes(b"\xff")
    assert from_json([{"blob": b"\xff"}]).first(WithBytes) == WithBytes(b"\xff")  # base64


MALFORMED: dict[str, Arguments] = {
    "json, a number out of range": JSONArguments([Raw(b'{"limit":1e999}')]),
    "json, invalid UTF-8": JSONArguments([Raw(b'{"limit":"\xff"}')]),
    "json, deep": JSONArguments([Raw(b"[" * 100_000 + b"]" * 100_000)]),
    "json, cut short": JSONArguments([Raw(b'{"limit":')]),
    "msgpack, invalid UTF-8": MsgpackArguments([Raw(b"\x81\xa5limit\xa1\xff")]),
    "msgpack, deep": MsgpackArguments([Raw(b"\x91" * 100_000 + b"\x01")]),
    "msgpack, cut short": MsgpackArguments([Raw(b"\x81\xa5limit")]),
    "msgpack, a key that is a map": MsgpackArguments([Raw(b"\x81\x81\x01\x01\x01")]),
}


@pytest.mark.parametrize("arguments", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_payload_is_an_invalid_request(arguments: Arguments) -> None:
    for into in (Optional, dict, list, Any):
        with pytest.raises(InvalidRequest) as refusal:
            arguments.first(into)
        assert 0 < len(refusal.value.message) <= 500
    with pytest.raises(InvalidRequest) as refusal:
        arguments.values()
    assert 0 < len(refusal.value.message) <= 500


def test_a_deep_object_does_not_break_the_conversion() -> None:
    value: Any = None
    for _ in range(100_000):
        value = {"inner": value}
    with pytest.raises(InvalidRequest, match="nested too deeply"):
        ObjectArguments([value]).first(Nest)


def test_a_refusal_does_not_repeat_a_long_payload() -> None:
    class Coloured(Event):
        colour: Annotated[str, msgspec.Meta(pattern="^" + "x" * 2_000 + "$")]

    with pytest.raises(InvalidRequest) as refusal:
        from_json([{"colour": "red"}]).first(Coloured)
    assert len(refusal.value.message) == 500


@given(
    st.lists(st.binary(max_size=30), max_size=2), st.sampled_from([Request, Optional, dict, Any])
)
def test_any_bytes_are_decoded_or_an_invalid_request(blobs: list[bytes], into: Any) -> None:
    for form in (JSONArguments, MsgpackArguments):
        arguments = form([Raw(blob) for blob in blobs])
        for read in (arguments.values, lambda arguments=arguments: arguments.first(into)):
            with suppress(InvalidRequest):
                read()
