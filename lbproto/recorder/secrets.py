"""Payloads without what their events' fields call secret (`lbproto.Secret`). Pure.

A payload comes from a client, and need not look like its type: where a secret is beneath and there
is something else than its type has, all of that is hidden.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from msgspec import inspect

__all__ = ["HIDDEN", "without_secrets"]

HIDDEN = "[hidden]"
"""What stands for a secret; for a number it is 0, for a truth value false: so that it fits."""

_Object = inspect.StructType | inspect.DataclassType | inspect.TypedDictType
_Array = inspect.ListType | inspect.SetType | inspect.FrozenSetType | inspect.VarTupleType


def without_secrets(payload: Any, event: type) -> Any:
    """A payload with what is secret in it hidden.

    Args:
        payload: plain values, whether or not they fit the event.
        event: its type.
    """
    return _shown(payload, _info(event))


@cache
def _info(event: type) -> inspect.Type:
    return inspect.type_info(event)


def _is_secret(type_: inspect.Type) -> bool:
    return isinstance(type_, inspect.Metadata) and bool((type_.extra or {}).get("secret"))


def _beneath(type_: inspect.Type) -> Iterator[inspect.Type]:
    """The types that a type is made of."""
    match type_:
        case inspect.Metadata():
            yield type_.type
        case inspect.StructType() | inspect.DataclassType() | inspect.TypedDictType():
            yield from (field.type for field in type_.fields)
        case (
            inspect.ListType()
            | inspect.SetType()
            | inspect.FrozenSetType()
            | inspect.VarTupleType()
        ):
            yield type_.item_type
        case inspect.TupleType():
            yield from type_.item_types
        case inspect.DictType():
            yield type_.value_type
        case inspect.UnionType():
            yield from type_.types


def _holds(type_: inspect.Type) -> bool:
    """Whether a secret is in a type, at any depth."""
    seen: set[type] = set()  # a type may be in itself
    waiting = [type_]
    while waiting:
        each = waiting.pop()
        if _is_secret(each):
            return True
        if isinstance(each, _Object):
            if each.cls in seen:
                continue
            seen.add(each.cls)
        waiting.extend(_beneath(each))
    return False


def _shown(value: Any, type_: inspect.Type) -> Any:
    if value is None or not _holds(type_):
        return value
    if _is_secret(type_):
        return _stand_in(type_)
    match type_:
        case inspect.Metadata():
            return _shown(value, type_.type)
        case inspect.UnionType():
            for each in type_.types:
                if _fits(value, each):
                    value = _shown(value, each)
            return value if any(_fits(value, each) for each in type_.types) else HIDDEN
        case inspect.DictType() if isinstance(value, dict):
            return {key: _shown(item, type_.value_type) for key, item in value.items()}
        case inspect.ListType() | inspect.SetType() | inspect.FrozenSetType() if isinstance(
            value, list
        ):
            return [_shown(item, type_.item_type) for item in value]
        case inspect.VarTupleType() if isinstance(value, list):
            return [_shown(item, type_.item_type) for item in value]
    if isinstance(type_, _Object) and isinstance(value, dict):
        types = {field.encode_name: field.type for field in type_.fields}
        return {
            key: _shown(item, types[key]) if key in types else item for key, item in value.items()
        }
    return HIDDEN


def _fits(value: Any, type_: inspect.Type) -> bool:
    """Whether a value has the shape of one of several types."""
    if isinstance(type_, inspect.Metadata):
        return _is_secret(type_) or _fits(value, type_.type)
    if isinstance(value, dict):
        return isinstance(type_, _Object | inspect.DictType)
    if isinstance(value, list):
        return isinstance(type_, _Array | inspect.TupleType)
    return not _holds(type_)


def _stand_in(type_: inspect.Type) -> Any:
    for each in _plain_types(type_):
        if isinstance(each, inspect.BoolType):
            return False
        if isinstance(each, inspect.IntType | inspect.FloatType):
            return 0
    return HIDDEN


def _plain_types(type_: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(type_, inspect.Metadata):
        yield from _plain_types(type_.type)
    elif isinstance(type_, inspect.UnionType):
        for each in type_.types:
            yield from _plain_types(each)
    else:
        yield type_
