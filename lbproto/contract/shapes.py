"""JSON Schemas as they are compared: the words that lbproto writes, with their types."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

__all__ = ["ANYTHING", "Branch", "Shape", "Shapes", "branches", "whole"]

ANYTHING = "anything"
"""The kind of what may be of any."""

_KINDS = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}

Number = int | float


class Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A schema; words that say nothing about what is accepted are left out."""

    ref: str | None = msgspec.field(default=None, name="$ref")
    type: str | list[str] | None = None
    enum: list[Any] | None = None
    const: Any | UnsetType = UNSET
    any_of: list[Shape | bool] | None = None
    one_of: list[Shape | bool] | None = None
    all_of: list[Shape | bool] | None = None
    properties: dict[str, Shape | bool] = {}
    required: list[str] = []
    additional_properties: Shape | bool = True
    property_names: Shape | bool = True
    items: Shape | bool | list[Shape | bool] = True
    additional_items: Shape | bool = True
    default: Any | UnsetType = UNSET
    minimum: Number | None = None
    exclusive_minimum: Number | None = None
    maximum: Number | None = None
    exclusive_maximum: Number | None = None
    multiple_of: Number | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    format: str | None = None
    content_encoding: str | None = None
    min_items: int | None = None
    max_items: int | None = None
    unique_items: bool | None = None
    min_properties: int | None = None
    max_properties: int | None = None


Shapes = Mapping[str, Shape]
"""By name; they refer to each other."""


class Branch(NamedTuple):
    """One alternative of a schema.

    Attributes:
        name: the schema that it was referred to by; "" for one written out.
        shape: without alternatives of its own.
    """

    name: str
    shape: Shape


def whole(shape: Shape | bool) -> Shape:
    """A schema that may be written as true, for anything, or false, for nothing."""
    if isinstance(shape, bool):
        return Shape() if shape else Shape(enum=[])
    return shape


def branches(shape: Shape | bool, shapes: Shapes) -> dict[str, list[Branch]]:
    """A schema's alternatives, by the kind of value that they are for."""
    found: dict[str, list[Branch]] = defaultdict(list)
    for name, each in _alternatives(whole(shape), shapes, "", frozenset()):
        for kind, one in _by_kind(each):
            found[kind].append(Branch(name, one))
    return dict(found)


def _alternatives(
    shape: Shape, shapes: Shapes, name: str, passed: frozenset[str]
) -> Iterator[tuple[str, Shape]]:
    """A schema, or what it refers to, or chooses from: none of those."""
    if shape.ref is not None:
        name = shape.ref.rpartition("/")[2]
        if name not in passed:  # else it is defined as itself: nothing fits
            yield from _alternatives(shapes[name], shapes, name, passed | {name})
        return
    parts = shape.any_of or shape.one_of or shape.all_of
    if parts is None:
        yield name, shape
        return
    for part in parts:
        yield from _alternatives(whole(part), shapes, "" if len(parts) > 1 else name, passed)


def _by_kind(shape: Shape) -> Iterator[tuple[str, Shape]]:
    values = shape.enum if shape.const is UNSET else [shape.const]
    if values is not None:
        kinds: dict[str, list[Any]] = defaultdict(list)
        for value in values:
            kinds[_kind_of(value)].append(value)
        for kind, some in kinds.items():
            yield kind, msgspec.structs.replace(shape, enum=some, const=UNSET)
    elif isinstance(shape.type, list):
        for kind in shape.type:
            yield kind, shape
    else:
        yield shape.type or ANYTHING, shape


def _kind_of(value: Any) -> str:
    if value is None:
        return "null"
    return _KINDS.get(type(value), "object")
