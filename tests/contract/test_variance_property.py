"""Whatever two schemas say: where no change is told as one that breaks, none does."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from lbproto.contract.changes import TO_CLIENT, TO_SERVER, Direction
from lbproto.contract.shapes import Shape
from lbproto.contract.variance import Variance

Schema = dict[str, Any]

NAMES = st.sampled_from("abc")
VALUES = st.recursive(
    st.sampled_from([None, True, -1, 0, 1, 2, 0.5, "", "x", "xyz"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


def _bounded(kind: str, lower: str, upper: str) -> st.SearchStrategy[Schema]:
    return st.fixed_dictionaries(
        {"type": st.just(kind)},
        optional={lower: st.integers(0, 1), upper: st.integers(1, 2)},
    )


def _objects(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    fields = st.dictionaries(NAMES, inner, max_size=3)
    return st.builds(
        lambda properties, required, closed: {
            "type": "object",
            "properties": properties,
            "required": sorted(required & properties.keys()),
            **closed,
        },
        fields,
        st.sets(NAMES),
        st.sampled_from([{}, {"additionalProperties": False}]),
    )


SCHEMAS = st.recursive(
    st.one_of(
        st.just({}),
        st.sampled_from(["null", "boolean"]).map(lambda kind: {"type": kind}),
        _bounded("integer", "minimum", "maximum"),
        _bounded("number", "minimum", "maximum"),
        _bounded("string", "minLength", "maxLength"),
        st.lists(
            st.sampled_from([None, 1, 2, "x", "xyz"]), min_size=1, max_size=3, unique=True
        ).map(lambda values: {"enum": values}),
    ),
    lambda inner: (
        _objects(inner)
        | inner.map(lambda items: {"type": "array", "items": items})
        | st.lists(inner, min_size=2, max_size=2).map(
            lambda items: {"type": "array", "items": items, "additionalItems": False}
        )
        | inner.map(lambda values: {"type": "object", "additionalProperties": values})
        | st.lists(inner, min_size=1, max_size=3).map(lambda some: {"anyOf": some})
    ),
    max_leaves=5,
)


@given(SCHEMAS, SCHEMAS, st.lists(VALUES, min_size=1, max_size=20))
@settings(max_examples=200, deadline=None)
def test_what_is_said_to_break_nothing_does_not(
    one: Schema, other: Schema, values: list[Any]
) -> None:
    for direction in (TO_SERVER, TO_CLIENT):
        if _may_break(one, other, direction):
            continue
        # What was good has to be good for who reads it.
        writer, reader = (one, other) if direction == TO_SERVER else (other, one)
        for value in values:
            if Draft7Validator(_knowing(writer)).is_valid(value):
                assert Draft7Validator(reader).is_valid(value), (direction, writer, reader, value)


def _knowing(schema: Any) -> Any:
    """As who writes it: they fill in no field that they do not know."""
    if isinstance(schema, list):
        return [_knowing(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    known = {name: _knowing(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        known.setdefault("additionalProperties", False)
    return known


def _may_break(old: Schema, new: Schema, direction: Direction) -> bool:
    before, after = (msgspec.convert({"P": schema}, dict[str, Shape]) for schema in (old, new))
    changes = list(Variance(before, after, "event", direction).changes("P", "P"))
    kinds = {change.kind for change in changes}
    return "bound-loosened" in kinds or any(each.severity == "breaking" for each in changes)


@given(SCHEMAS)
@settings(max_examples=50, deadline=None)
def test_nothing_has_changed_in_what_is_the_same(schema: Schema) -> None:
    shapes = msgspec.convert({"P": schema}, dict[str, Shape])
    for direction in (TO_SERVER, TO_CLIENT):
        assert list(Variance(shapes, shapes, "event", direction).changes("P", "P")) == []
