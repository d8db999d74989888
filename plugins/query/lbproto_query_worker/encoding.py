"""A result as text that DuckDB itself makes: a row is one JSON array or object.

DuckDB's vectors become JSON several times as fast as Python makes values of them, so the query is
wrapped in one that does nothing else. Each column's type has an expression that turns it into what
the contract says. Types of which JSON knows nothing are strings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from duckdb.sqltypes import DuckDBPyType

from lbproto_query_worker.frames import Column

__all__ = ["Encoded", "described", "wrapped"]

_PLAIN = {
    "boolean": "boolean",
    "tinyint": "number",
    "smallint": "number",
    "integer": "number",
    "utinyint": "number",
    "usmallint": "number",
    "uinteger": "number",
}
_REALS = frozenset({"float", "double"})
_MOMENTS = frozenset({"timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns"})
_ZONED = frozenset({"timestamp with time zone", "timestamptz_ns"})
# NaN is null, of which statistics say nothing; what is in these may be null where they are not.
_UNFORESEEN = _REALS | {"union", "variant"}


class Encoded(NamedTuple):
    """An expression and what it makes; `plain` if it is the value itself, untouched."""

    sql: str
    wire: str
    plain: bool = False


def described(names: list[str], types: list[DuckDBPyType]) -> list[Column]:
    """The columns of a result, of any of which null may come.

    A name that was there before gets a number: `a`, `a_2`.
    """
    taken: set[str] = set()
    columns = []
    for name, type_ in zip(names, types, strict=True):
        unique, number = name, 2
        while unique in taken:
            unique, number = f"{name}_{number}", number + 1
        taken.add(unique)
        columns.append(Column(unique, str(type_), True, _encoded(type_, "x", 0).wire))
    return columns


def wrapped(
    sql: str,
    columns: list[Column],
    types: list[DuckDBPyType],
    arrays: bool,
    *,
    asking: bool = False,
) -> str:
    """The statement whose first column is each row of `sql`, as JSON.

    Args:
        sql: one statement that the guard has let pass: what it parses as by itself it is here, too.
        columns: as they are `described`.
        types: of the columns.
        arrays: rows are arrays, where else they are objects.
        asking: has one more column for each of `sql`'s, true where its value is null on the wire.
    """
    names = [f"c{place}" for place in range(len(types))]
    values = [_encoded(type_, name, 0).sql for type_, name in zip(types, names, strict=True)]
    if arrays:
        row = f"json_array({', '.join(values)})"
    else:
        fields = zip(columns, values, strict=True)
        row = f"json_object({', '.join(f'{_text(key.name)}, {value}' for key, value in fields)})"
    if asking:
        questions = [_missing(type_, name) for type_, name in zip(types, names, strict=True)]
        row = ", ".join([row, *(f"{each} AS q{at}" for at, each in enumerate(questions))])
    return f"SELECT {row} FROM (\n{sql}\n) AS result ({', '.join(names)})"  # noqa: S608 - see above


def _missing(type_: DuckDBPyType, value: str) -> str:
    """An expression that is true where `value` becomes null, or may become null unforeseen."""
    kind = type_.id
    if kind in _UNFORESEEN:
        return "true"
    if kind in _MOMENTS | _ZONED | {"date"}:
        # Not `isfinite`: of a comparison DuckDB knows the answer, if it knows least and greatest.
        infinite = f"{value} >= 'infinity'::{type_} OR {value} <= '-infinity'::{type_}"
        return f"({value} IS NULL OR {infinite})"
    return f"{value} IS NULL"


def _encoded(type_: DuckDBPyType, value: str, depth: int) -> Encoded:
    kind = type_.id
    if kind in _NESTED:
        return _NESTED[kind](type_, value, depth)
    if kind in _PLAIN:
        return Encoded(value, _PLAIN[kind], plain=True)
    if kind in _REALS:
        return Encoded(f"CASE WHEN isfinite({value}) THEN {value} END", "number")
    if kind in _MOMENTS | _ZONED:
        moment = f"{value}::TIMESTAMP"
        if kind in _ZONED:
            moment = f"({value}::TIMESTAMPTZ AT TIME ZONE 'UTC')"
        text = f"strftime({moment}, '%Y-%m-%dT%H:%M:%S.%gZ')"
        return Encoded(f"CASE WHEN isfinite({moment}) THEN {text} END", "string")
    if kind == "date":
        return Encoded(f"CASE WHEN isfinite({value}) THEN {value}::VARCHAR END", "string")
    if kind == "blob":
        return Encoded(f"base64({value})", "string")
    if str(type_) == "VARCHAR":
        return Encoded(value, "string", plain=True)
    # Also integers of 64 bits and more, decimals, and JSON, which is the text that it is.
    return Encoded(f"{value}::VARCHAR", "string")


def _list(type_: DuckDBPyType, value: str, depth: int) -> Encoded:
    item = f"x{depth}"
    ((_, child),) = _children(type_)
    made = _encoded(child, item, depth + 1)
    if made.plain:
        return Encoded(value, "array", plain=True)
    items = f"{value}::{child}[]" if type_.id == "array" else value
    return Encoded(f"list_transform({items}, lambda {item}: {made.sql})", "array")


def _struct(type_: DuckDBPyType, value: str, depth: int) -> Encoded:
    fields = []
    for place, (name, child) in enumerate(_children(type_), start=1):
        field = _encoded(child, f"struct_extract_at({value}, {place})", depth + 1)
        fields.append(f"{_text(name)}, {field.sql}")
    row = f"json_object({', '.join(fields)})"
    return Encoded(f"CASE WHEN {value} IS NOT NULL THEN {row} END", "object")


def _tuple(type_: DuckDBPyType, value: str, depth: int) -> Encoded:
    places = enumerate(_children(type_), start=1)
    items = [
        _encoded(each, f"struct_extract_at({value}, {at})", depth + 1) for at, (_, each) in places
    ]
    row = f"json_array({', '.join(each.sql for each in items)})"
    return Encoded(f"CASE WHEN {value} IS NOT NULL THEN {row} END", "array")


def _map(type_: DuckDBPyType, value: str, depth: int) -> Encoded:
    entry = f"x{depth}"
    _, (_, child) = _children(type_)
    made = _encoded(child, f"{entry}.value", depth + 1)
    pair = f"struct_pack(k := {entry}.key::VARCHAR, v := to_json({made.sql}))"
    entries = f"list_transform(map_entries({value}), lambda {entry}: {pair})"
    return Encoded(f"to_json(map_from_entries({entries}))", "object")


def _union(type_: DuckDBPyType, value: str, depth: int) -> Encoded:
    cases = []
    for name, child in _children(type_)[1:]:  # the first is the tag
        member = _encoded(child, f"union_extract({value}, {_text(name)})", depth + 1)
        cases.append(f"WHEN {_text(name)} THEN to_json({member.sql})")
    return Encoded(f"CASE union_tag({value}) {' '.join(cases)} END", "any")


_NESTED: dict[str, Callable[[DuckDBPyType, str, int], Encoded]] = {
    "array": _list,
    "list": _list,
    "map": _map,
    "struct": _struct,
    "tuple": _tuple,
    "union": _union,
}


def _children(type_: DuckDBPyType) -> list[tuple[str, DuckDBPyType]]:
    return [(name, each) for name, each in type_.children if isinstance(each, DuckDBPyType)]


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
