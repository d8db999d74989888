"""Answers in sentences, with the figures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from lbproto_chat.semantic.figures import Figure
from lbproto_chat.semantic.layer import Table
from lbproto_chat.semantic.reading import Reading

__all__ = ["sentences"]

_SHOWN = 20
"""Rows that a text has; it says how many more there are."""

_MAX_VALUE_LENGTH = 100  # characters of a value

Row = Sequence[object]


def sentences(reading: Reading, rows: Sequence[Row], *, is_cut: bool = False) -> str:
    """The answer: how the question was read, then the figures.

    Args:
        reading: the question's.
        rows: the result of its SQL, each in the order of its columns. Decimals, integers and times
            may be text, as they are on the wire.
        is_cut: there may be more of them.
    """
    shape, table = reading.shape, reading.frame.table
    parts = [f"I read this as: {reading.says}."]
    if not rows:
        parts.append("There is none.")
    elif len(rows) == 1:
        parts.append(_sentence(table, shape.figures, rows[0]))
    else:
        count = f"{len(rows):,}{' or more' if is_cut else ''}"
        is_short = len(rows) <= _SHOWN
        parts.append(f"There are {count}:" if is_short else f"The first {_SHOWN} of {count}:")
        parts += [f"- {_listed(table, shape.figures, row)}" for row in rows[:_SHOWN]]
    return "\n".join((*parts, *shape.notes))


def _sentence(table: Table, figures: Sequence[Figure], row: Row) -> str:
    if len(figures) == 1:
        (figure,) = figures
        return f"The {figure.name} is {_value(table, figure, row[0])}."
    return f"{_listed(table, figures, row)}."


def _listed(table: Table, figures: Sequence[Figure], row: Row) -> str:
    return ", ".join(
        f"{figure.name} {_value(table, figure, value)}"
        for figure, value in zip(figures, row, strict=True)
    )


def _value(table: Table, figure: Figure, value: object) -> str:
    if value is None:
        return "unknown"
    if figure.kind == "time":
        return _moment(value)
    if figure.kind == "text":
        # What is in a cell is data: one line of it, and no more than fits.
        text = " ".join(str(value).split())
        return text if len(text) <= _MAX_VALUE_LENGTH else text[: _MAX_VALUE_LENGTH - 1] + "…"
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return str(value)[:_MAX_VALUE_LENGTH]
    if figure.kind == "percent":
        return f"{number:,.2f} %"
    text = f"{_digits(number)} {figure.unit}".rstrip()
    larger = [each for each in table.units if each.of and each.of == figure.unit]
    if larger and abs(number) >= larger[0].factor:
        text += f" ({_digits(number / larger[0].factor)} {larger[0].name})"
    return text


def _digits(number: Decimal) -> str:
    """A number with its thousands apart, and as many decimals as say something."""
    if not number.is_finite():
        return str(number)
    if number == number.to_integral_value():
        return f"{number:,.0f}"
    decimals = -int(number.normalize().as_tuple().exponent)
    # What was measured has few decimals, and is shown whole; what was divided may have any.
    places = decimals if decimals <= 3 else max(2, 3 - number.adjusted())
    text = f"{number:,.{min(places, 12)}f}"
    return text.rstrip("0").rstrip(".")


def _moment(value: object) -> str:
    """A time as short as it can be, in UTC."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return str(value)[:_MAX_VALUE_LENGTH]
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    if moment.microsecond:
        return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03}"
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment.second else f"{moment:%Y-%m-%d %H:%M}"
