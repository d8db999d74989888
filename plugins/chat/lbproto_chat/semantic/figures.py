"""The figures of an answer, as expressions and in words."""

from __future__ import annotations

from typing import NamedTuple

from lbproto_chat.semantic.frames import Target
from lbproto_chat.semantic.layer import Entity, Measure, Table, Unit
from lbproto_chat.semantic.sql import Call, Column, Node, Operation, Star, Trusted, Value
from lbproto_chat.semantic.unread import Unread

__all__ = ["Figure", "figure", "measured", "node_of", "over"]

_FUNCTIONS = frozenset({"sum", "avg", "median", "stddev", "variance", "mode", "max", "min"})
_NAMES = {
    "sum": "total {}",
    "avg": "average {}",
    "median": "median {}",
    "stddev": "standard deviation of the {}",
    "max": "highest {}",
    "min": "lowest {}",
    "first": "first {}",
    "last": "last {}",
    "change": "change of the {}",
    "spread": "spread of the {}",
    "variance": "variance of the {}",
    "mode": "most common {}",
    "distinct": "number of different values of the {}",
}


class Figure(NamedTuple):
    """A column of the answer: what it is called, its unit, and what its values are.

    `kind` is "number", "percent", "time" or "text".
    """

    name: str
    unit: str = ""
    kind: str = "number"


def node_of(
    table: Table, target: Target, where: Node | None = None, unit: Unit | None = None
) -> Node:
    """A figure's expression.

    Args:
        table: whose.
        target: the figure; it has an operation.
        where: of which rows alone.
        unit: what it is to be in, rather than in the measure's own.

    Raises:
        Unread: there is no such figure.
    """
    thing = target.thing
    if isinstance(thing, Entity):
        rows: Node = Column(thing.key) if thing.key else Star()
        return Call("count", (rows,), distinct=bool(thing.key), where=where)
    if not isinstance(thing, Measure):
        if where is not None:
            raise Unread(thing.name)
        return Trusted(thing.sql)
    measure = Trusted(thing.sql)
    if target.op in _FUNCTIONS:
        if target.op == "sum" and not thing.adds:
            raise Unread(f"total {thing.name}")
        node: Node = Call(target.op, (measure,), where=where)
    elif target.op == "distinct":
        return Call("count", (measure,), distinct=True, where=where)
    elif target.op == "spread":
        ends = (Call("max", (measure,), where=where), Call("min", (measure,), where=where))
        node = Operation("-", ends)
    elif target.op in ("first", "last", "change") and table.time is not None:
        order = Column(table.time.order or table.time.column)
        first = Call("arg_min", (measure, order), where=where)
        last = Call("arg_max", (measure, order), where=where)
        node = {"first": first, "last": last}.get(target.op) or Operation("-", (last, first))
    else:
        raise Unread(target.op)
    return _converted(node, unit, thing)


def _converted(node: Node, unit: Unit | None, measure: Measure) -> Node:
    if unit is None or unit.name == measure.unit:
        return node
    if unit.of != measure.unit:
        raise Unread(unit.name)
    return Operation("/", (node, Value(unit.factor)))


def measured(measure: Measure, unit: Unit | None) -> tuple[Figure, Node]:
    """The measure of single rows."""
    name = unit.name if unit else measure.unit
    return Figure(measure.name, name), _converted(Trusted(measure.sql), unit, measure)


def figure(target: Target, unit: Unit | None = None) -> Figure:
    """What a figure is called, and its unit."""
    thing = target.thing
    if isinstance(thing, Entity):
        return Figure(f"number of {'different ' if thing.key else ''}{thing.several}")
    name = unit.name if unit else thing.unit
    if target.op == "distinct":
        name = ""
    if not isinstance(thing, Measure):
        return Figure(thing.name, name)
    return Figure(_NAMES.get(target.op, "{}").format(thing.name), name)


def over(op: str, inner: Figure) -> tuple[Figure, str]:
    """A figure of figures, and its function."""
    if op not in _FUNCTIONS:
        raise Unread(op)
    return Figure(_NAMES[op].format(inner.name), inner.unit, inner.kind), op
