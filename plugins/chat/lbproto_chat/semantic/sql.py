"""A query as a tree, and its text.

Values from a question are in the tree as values, and come out as quoted literals: the text can be
run as it is, and shown. What a layer declares as SQL is taken over in brackets.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple, TypeAlias

__all__ = [
    "Call",
    "Column",
    "Node",
    "Operation",
    "Scalar",
    "Select",
    "Span",
    "Star",
    "Trusted",
    "Value",
    "all_of",
    "text_of",
]


class Column(NamedTuple):
    """A column of the table, or of the query that is selected from."""

    name: str


class Value(NamedTuple):
    """A value; a `datetime` has a time zone."""

    value: str | int | Decimal | datetime


class Span(NamedTuple):
    """A length of time, as `INTERVAL` has it: so many of a unit."""

    number: int
    unit: str


class Trusted(NamedTuple):
    """An expression that a layer declares."""

    sql: str


class Star(NamedTuple):
    """The rows themselves, as `count` takes them."""


class Call(NamedTuple):
    """A function of `arguments`, of rows for which `where` is true if it is an aggregate."""

    name: str
    arguments: tuple[Node, ...]
    distinct: bool = False
    where: Node | None = None


class Operation(NamedTuple):
    """An operator between its arguments; with one argument it follows that ("IS NULL")."""

    operator: str
    arguments: tuple[Node, ...]


class Scalar(NamedTuple):
    """The one value of a query."""

    query: Select


class Select(NamedTuple):
    """A query.

    Args:
        items: what is selected: a name, which is empty where the expression names itself, and that.
        source: a table, or a query.
        where: on rows.
        groups: expressions that are grouped by.
        having: on groups.
        order: expressions, and whether the greatest comes first.
        limit: how many rows at most.
        skip: how many rows are left out before.
    """

    items: tuple[tuple[str, Node], ...]
    source: str | Select
    where: Node | None = None
    groups: tuple[Node, ...] = ()
    having: Node | None = None
    order: tuple[tuple[Node, bool], ...] = ()
    limit: int | None = None
    skip: int = 0


Node: TypeAlias = Column | Value | Span | Trusted | Star | Call | Operation | Scalar


def all_of(*conditions: Node | None) -> Node | None:
    """The conditions that there are, all of which have to be true; none if there are none."""
    there = tuple(each for each in conditions if each is not None)
    if len(there) > 1:
        return Operation("AND", there)
    return there[0] if there else None


def text_of(query: Select) -> str:
    """The SQL of a query."""
    items = (
        f"{_text(node)} AS {_name(name)}" if name else _text(node) for name, node in query.items
    )
    source = query.source
    table = _name(source) if isinstance(source, str) else f"({text_of(source)})"
    parts = [f"SELECT {', '.join(items)} FROM {table}"]  # noqa: S608 - names and values are quoted
    if query.where is not None:
        parts.append(f"WHERE {_text(query.where)}")
    if query.groups:
        parts.append(f"GROUP BY {', '.join(map(_text, query.groups))}")
    if query.having is not None:
        parts.append(f"HAVING {_text(query.having)}")
    if query.order:
        keys = (f"{_text(node)}{' DESC' if down else ''} NULLS LAST" for node, down in query.order)
        parts.append(f"ORDER BY {', '.join(keys)}")
    if query.limit is not None:
        parts.append(f"LIMIT {query.limit}")
    if query.skip:
        parts.append(f"OFFSET {query.skip}")
    return " ".join(parts)


def _text(node: Node) -> str:
    match node:
        case Column(name):
            return _name(name)
        case Value(value):
            return _literal(value)
        case Span(number, unit):
            return f"INTERVAL {number} {unit.upper()}"
        case Trusted(sql):
            return sql if sql.isidentifier() else f"({sql})"
        case Star():
            return "*"
        case Call(name, arguments, distinct, where):
            inner = ", ".join(map(_text, arguments))
            call = f"{name}({'DISTINCT ' if distinct else ''}{inner})"
            return call if where is None else f"{call} FILTER (WHERE {_text(where)})"
        case Operation(operator, (argument,)):
            return f"{_text(argument)} {operator}"
        case Operation(operator, arguments):
            return f"({f' {operator} '.join(map(_text, arguments))})"
        case Scalar(query):
            return f"({text_of(query)})"


def _name(name: str) -> str:
    quoted = name.replace('"', '""')
    return f'"{quoted}"'


def _literal(value: str | int | Decimal | datetime) -> str:
    if isinstance(value, str):
        quoted = value.replace("'", "''")
        return f"'{quoted}'"
    if isinstance(value, datetime):
        return f"TIMESTAMPTZ '{value.isoformat(sep=' ')}'"
    return format(value, "f") if isinstance(value, Decimal) else str(value)
