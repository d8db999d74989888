"""What is said where something else is given than is asked for: what a type checker finds, too.

The sentences name the kind of what was given and, but for numbers, not its value: that may be a
secret.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields
from typing import Any

from lbproto.errors import UsageError
from lbproto.events import Event

__all__ = [
    "check_bounds",
    "check_class",
    "check_event",
    "check_number",
    "check_returned",
    "check_seconds",
    "name_of",
    "shown",
]


def name_of(function: object) -> str:
    """What a function is called where it is written, also behind a `partial`."""
    inner = getattr(function, "func", function)
    return getattr(inner, "__qualname__", type(inner).__qualname__)


def shown(given: object) -> str:
    """What was given, as such a sentence ends: "a value of type dict", "the function market"."""
    if given is None:
        return "None"
    name = getattr(given, "__qualname__", None)
    if isinstance(given, type):
        return f"the class {name}"
    if name is not None:
        return f"the function {name}"
    kind = type(given).__qualname__
    return f"an instance of {kind}" if isinstance(given, Event) else f"a value of type {kind}"


def check_class(given: object, asked: str, base: type[Event] = Event) -> None:
    """See to it that this is a class of events.

    Args:
        asked: the sentence up to its comma: what is to be written instead.

    Raises:
        UsageError: it is something else, such as an event, or a function.
    """
    if not isinstance(given, type) or not issubclass(given, base):
        raise UsageError(f"{asked}, not {shown(given)}")


def check_event(given: object, asked: str) -> None:
    """See to it that this is an event; likewise.

    Raises:
        UsageError: it is something else, such as a dict, or a class of events.
    """
    if not isinstance(given, Event):
        raise UsageError(f"{asked}, not {shown(given)}")


def check_returned(returned: object, function: object) -> None:
    """The same for what a handler has returned: an event, or None.

    Raises:
        UsageError: it is something else.
    """
    if returned is not None:
        check_event(returned, f"{name_of(function)} must return an event or None")


def check_number(name: str, given: Any, *, whole: bool = True, zero: bool = False) -> None:
    """See to it that this is a number that bounds something.

    Args:
        whole: whether it has to be a whole one.
        zero: whether it may be 0.

    Raises:
        UsageError: it is no such number, or is too small.
    """
    numbers = int if whole else int | float
    is_number = isinstance(given, numbers) and not isinstance(given, bool)
    if not is_number or not (given > 0 or (zero and given == 0)):
        kind = "a whole number" if whole else "a number"
        least = ", 0 or more" if zero else " above 0"
        raise UsageError(f"{name} is {kind}{least}, not {given if is_number else shown(given)}")


def check_seconds(name: str, given: Any) -> None:
    """See to it that this is how long something may take; None where that is not bounded.

    Raises:
        UsageError: it is something else.
    """
    if given is not None:
        check_number(name, given, whole=False)


def check_bounds(bounds: Any, zero: Collection[str] = ()) -> None:
    """The same for all numbers of a dataclass, whose module reads no annotations.

    Args:
        zero: the fields that may be 0.
    """
    for field in fields(bounds):
        given = getattr(bounds, field.name)
        kind, _, other = str(field.type).partition(" | ")
        if kind in ("int", "float") and not (other and given is None):
            name = f"{type(bounds).__name__}: {field.name}"
            check_number(name, given, whole=kind == "int", zero=field.name in zero)
