"""Bytes travel beside the text: taking them out of arguments, and putting them back in."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto import Event, Model
from lbproto.wire import ProtocolError
from lbproto.wire.attachments import extract, restore

ZERO = {"_placeholder": True, "num": 0}
ONE = {"_placeholder": True, "num": 1}

T = TypeVar("T")


class Plain(Event):
    count: int
    names: list[str] = msgspec.field(default_factory=list)


class Nested(Model):
    blob: bytes | None = None


class Loop(Model):
    name: str
    children: list[Loop] = msgspec.field(default_factory=list)


class BlobLoop(Model):
    children: list[BlobLoop] = msgspec.field(default_factory=list)
    blob: bytes = b""


class Custom:
    pass


class Box(msgspec.Struct, Generic[T]):
    content: T


class HoldsBytes(Event):
    some_blob: bytes


class HoldsBytearray(Event):
    blob: bytearray


class HoldsMemoryview(Event):
    blob: memoryview


class HoldsNested(Event):
    nested: dict[str, list[Nested]]


class HoldsAny(Event):
    anything: Any


class HoldsCustom(Event):
    custom: Custom


class HoldsTuple(Event):
    pair: tuple[int, Annotated[bytes, msgspec.Meta(max_length=5)]]


def test_bytes_are_numbered_in_the_order_they_are_found() -> None:
    values, buffers = extract(["a", b"x", {"k": [1, b"y"]}])
    assert values == ["a", ZERO, {"k": [1, ONE]}]
    assert buffers == [b"x", b"y"]


@pytest.mark.parametrize("blob", [b"x", bytearray(b"x"), memoryview(b"x")], ids=type)
def test_every_kind_of_bytes_is_taken(blob: Any) -> None:
    assert extract([blob]) == ([ZERO], [b"x"])


def test_the_same_bytes_twice_are_two_attachments() -> None:
    blob = b"x"
    assert extract([blob, blob]) == ([ZERO, ONE], [b"x", b"x"])


def test_a_tuple_is_a_list_on_the_wire() -> None:
    assert extract([(1, b"x")]) == ([[1, ZERO]], [b"x"])


HOLDERS: dict[str, tuple[msgspec.Struct, Any, list[bytes]]] = {
    "bytes": (HoldsBytes(b"x"), {"someBlob": ZERO}, [b"x"]),
    "bytearray": (HoldsBytearray(bytearray(b"x")), {"blob": ZERO}, [b"x"]),
    "memoryview": (HoldsMemoryview(memoryview(b"x")), {"blob": ZERO}, [b"x"]),
    "nested": (HoldsNested({"k": [Nested(b"x")]}), {"nested": {"k": [{"blob": ZERO}]}}, [b"x"]),
    "nothing where there may be": (HoldsNested({"k": [Nested()]}), {"nested": {"k": [{}]}}, []),
    "any": (HoldsAny([b"x"]), {"anything": [ZERO]}, [b"x"]),
    "tuple": (HoldsTuple((1, b"x")), {"pair": [1, ZERO]}, [b"x"]),
    "recursive": (
        BlobLoop([BlobLoop(blob=b"x")], b"y"),
        {"children": [{"blob": ZERO}], "blob": ONE},
        [b"x", b"y"],
    ),
    "generic": (Box[bytes](b"x"), {"content": ZERO}, [b"x"]),
}


@pytest.mark.parametrize(("struct", "value", "buffers"), HOLDERS.values(), ids=HOLDERS)
def test_bytes_in_structs_are_taken(struct: Any, value: Any, buffers: list[bytes]) -> None:
    assert extract([struct]) == ([value], buffers)
    assert extract([{"in": [struct]}]) == ([{"in": [value]}], buffers)


@pytest.mark.parametrize(
    "struct", [Plain(1), Loop("a", [Loop("b")])], ids=lambda struct: type(struct).__name__
)
def test_a_struct_that_cannot_hold_bytes_is_passed_through(struct: Any) -> None:
    values, buffers = extract([struct])
    assert values[0] is struct  # not taken apart: it is encoded straight away
    assert buffers == []


def test_a_struct_with_a_custom_type_is_looked_into() -> None:
    with pytest.raises(TypeError, match="Custom"):  # ... and found not to be for the wire
        extract([HoldsCustom(Custom())])


RESTORED: dict[str, tuple[Any, Any]] = {
    "one": (ZERO, b"x"),
    "deep": ([{"a": [ZERO]}, {"b": {"c": ONE}}], [{"a": [b"x"]}, {"b": {"c": b"y"}}]),
    "one named twice": ([ZERO, ZERO], [b"x", b"x"]),
    "none": ([1, "a", None, {}], [1, "a", None, {}]),
    "with other keys beside": ({**ZERO, "more": 1}, b"x"),
    "not quite true": ({"_placeholder": "true", "num": 0}, {"_placeholder": "true", "num": 0}),
    "false": ({"_placeholder": False, "num": 5}, {"_placeholder": False, "num": 5}),
}


@pytest.mark.parametrize(("value", "restored"), RESTORED.values(), ids=RESTORED)
def test_placeholders_are_replaced(value: Any, restored: Any) -> None:
    assert restore(value, [b"x", b"y"]) == restored


@pytest.mark.parametrize("number", [2, -1, 10**30, "0", None, True, 0.0, [0], {}], ids=repr)
def test_a_placeholder_that_lies_is_a_protocol_error(number: Any) -> None:
    with pytest.raises(ProtocolError):
        restore([{"k": {"_placeholder": True, "num": number}}], [b"x", b"y"])


def test_a_placeholder_without_a_number_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError):
        restore({"_placeholder": True}, [b"x"])


keys = st.text().filter(lambda key: key != "_placeholder")
values_with_bytes = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary(max_size=8),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(keys, values, max_size=4),
    max_leaves=20,
)


@given(st.lists(values_with_bytes))
def test_what_is_taken_out_is_put_back(values: list[Any]) -> None:
    without, buffers = extract(values)
    assert not any(isinstance(leaf, bytes) for leaf in _leaves(without))
    assert restore(without, buffers) == values


@given(st.lists(values_with_bytes))
def test_also_by_way_of_text(values: list[Any]) -> None:
    without, buffers = extract(values)
    assert restore(msgspec.json.decode(msgspec.json.encode(without)), buffers) == values


json_with_placeholders = st.recursive(
    st.none()
    | st.integers()
    | st.text(max_size=3)
    | st.fixed_dictionaries(
        {"_placeholder": st.sampled_from([True, True, False, 1, "true"])},
        optional={"num": st.integers(-2, 5) | st.none() | st.text(max_size=1)},
    ),
    lambda values: st.lists(values) | st.dictionaries(st.sampled_from(["a", "num"]), values),
)


@given(json_with_placeholders, st.lists(st.binary(max_size=2), max_size=3))
def test_any_placeholders_are_restored_or_a_protocol_error(
    value: Any, buffers: list[bytes]
) -> None:
    try:
        restored = restore(value, buffers)
    except ProtocolError:
        return
    assert all(leaf in buffers for leaf in _leaves(restored) if isinstance(leaf, bytes))


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]
