"""Conditions on time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast

from lbproto_chat.semantic.frames import Condition
from lbproto_chat.semantic.layer import TimeColumn
from lbproto_chat.semantic.lexicon import Item
from lbproto_chat.semantic.sql import Call, Column, Node, Operation, Scalar, Select, Span, Value
from lbproto_chat.semantic.tokens import Clock, Moments, Number

__all__ = ["at_edge", "moments_of", "said", "since", "within"]


def moments_of(value: object, time: TimeColumn, *, said_in: bool = False) -> Moments | None:
    """The moments that a slot names.

    Args:
        value: of an item.
        time: what the table's times are.
        said_in: "in" goes before it, so that a number like 2023 is a year.
    """
    day = time.start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if isinstance(value, Clock):
        start = day + value.since_midnight
        return Moments(start, start + value.length)
    if isinstance(value, Moments):
        if value.start.year > 1:
            return value
        start = value.start.replace(year=day.year)
        return Moments(start, start + (value.end - value.start))
    if said_in and isinstance(value, Number) and 1970 <= value.value <= 2200:
        year = int(value.value)
        return Moments(datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC))
    return None


def within(time: TimeColumn, start: datetime, end: datetime) -> Condition:
    """From one moment until before another."""
    column = Column(time.column)
    test = Operation(
        "AND",
        (Operation(">=", (column, Value(start))), Operation("<", (column, Value(end)))),
    )
    return Condition("time", f"from {said(start)} until before {said(end)}", test)


def since(time: TimeColumn, operator: str, moment: datetime) -> Condition:
    """From a moment on (`>=`), or before it (`<`)."""
    word = "from" if operator == ">=" else "before"
    test = Operation(operator, (Column(time.column), Value(moment)))
    return Condition("time", f"{word} {said(moment)}", test, operator=operator, value=Value(moment))


def at_edge(time: TimeColumn, edge: str, span: Item, table: str) -> Condition:
    """In the first or last minute, or the first or last 30 seconds, that there are rows of.

    A span without a number is one of the calendar's: the first minute ends where the clock says so.
    """
    column = Column(time.column)
    first = edge == "first"
    extreme: Node = Call("min" if first else "max", (column,))
    if span.kind == "grain":
        unit = Value(str(span.value))
        extreme = Call("date_trunc", (unit, extreme))
        there = Scalar(Select((("", extreme),), table))
        test = Operation("=", (Call("date_trunc", (unit, column)), there))
    else:
        length = cast("Span", span.value)
        there = Scalar(Select((("", extreme),), table))
        bound = Operation("+" if first else "-", (there, length))
        test = Operation("<" if first else ">", (column, bound))
    return Condition("time", f"in the {edge} {span.text}", test)


def said(moment: datetime) -> str:
    """A moment in words, as short as it can be."""
    if moment.microsecond:
        return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03}"
    if moment - timedelta(seconds=moment.second) != moment:
        return f"{moment:%Y-%m-%d %H:%M:%S}"
    return f"{moment:%Y-%m-%d %H:%M}" if moment.hour or moment.minute else f"{moment:%Y-%m-%d}"
