"""Rows of PostgreSQL as JSON that it makes itself; see `lbproto_query_worker.encoding`."""

from __future__ import annotations

from collections.abc import Sequence

from asyncpg import Attribute

from lbproto_query.engines import Column

__all__ = ["described", "wrapped"]

_WIRE = {
    "bool": "boolean",
    "int2": "number",
    "int4": "number",
    "float4": "number",
    "float8": "number",
    "bool[]": "array",
    "int2[]": "array",
    "int4[]": "array",
    "text[]": "array",
    "varchar[]": "array",
}
_NOT_FINITE = "('NaN', 'Infinity', '-Infinity')"
_ISO = """'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'"""


def described(attributes: Sequence[Attribute]) -> list[Column]:
    """The columns of a result; a name that was there before gets a number: `a`, `a_2`.

    Of none is it said that it has no null. asyncpg does not tell which table a column is of; and
    that a table's column is NOT NULL proves nothing of a query's: PostgreSQL names the table for a
    column of an outer join as well.
    """
    taken: set[str] = set()
    columns = []
    for each in attributes:
        unique, number = each.name, 2
        while unique in taken:
            unique, number = f"{each.name}_{number}", number + 1
        taken.add(unique)
        columns.append(Column(unique, each.type.name, True, _WIRE.get(each.type.name, "string")))
    return columns


def wrapped(sql: str, columns: Sequence[Column], arrays: bool, most: int) -> str:
    """The statement whose only column is each row of `sql`, as JSON.

    In brackets there can be nothing but a query that reads: PostgreSQL's grammar knows no other.

    Args:
        sql: any text.
        columns: those that it has.
        arrays: rows are arrays, where else they are objects.
        most: characters of a row; what is longer is cut, and never on its way in full.
    """
    names = [f"c{place}" for place in range(len(columns))]
    values = [_value(each.type, name) for each, name in zip(columns, names, strict=True)]
    result = f"(\n{sql}\n) AS result ({', '.join(names)})"
    if arrays:
        items = ", ".join(f"to_json({value})" for value in values)
        row = f"array_to_json(ARRAY[{items}]::json[])::text"
        return f"SELECT left({row}, {most}) FROM {result}"  # noqa: S608 - see above
    fields = zip(columns, values, strict=True)
    made = ", ".join(f"{value} AS {_quoted(each.name)}" for each, value in fields)
    row = f"left(row_to_json(made)::text, {most})"
    return f"SELECT {row} FROM (SELECT {made} FROM {result}) AS made"  # noqa: S608 - see above


def _value(type_: str, name: str) -> str:
    if type_ in ("float4", "float8"):
        return f"CASE WHEN {name} NOT IN {_NOT_FINITE} THEN {name} END"
    if type_ == "numeric":
        return f"CASE WHEN {name} NOT IN {_NOT_FINITE} THEN {name}::text END"
    if type_ in ("timestamp", "timestamptz"):
        moment = f"{name} AT TIME ZONE 'UTC'" if type_ == "timestamptz" else name
        return f"CASE WHEN isfinite({name}) THEN to_char({moment}, {_ISO}) END"
    if type_ == "date":
        return f"CASE WHEN isfinite({name}) THEN {name}::text END"
    if type_ == "bytea":
        return f"replace(encode({name}, 'base64'), E'\\n', '')"
    return name if type_ in _WIRE else f"{name}::text"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
