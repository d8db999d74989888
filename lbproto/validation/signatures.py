"""Signatures of the functions that a plugin declares: read once, when they are declared.

A wrong one fails there, with a sentence that says what is expected, never at the first request.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import NoneType, UnionType
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

from lbproto.errors import UsageError
from lbproto.events import Event
from lbproto.validation.mistakes import name_of

__all__ = ["Signature", "is_async", "takes"]


@dataclass(frozen=True, slots=True)
class Signature:
    """What is known of a handler.

    Attributes:
        handler: an async function, a method, or what can be called like one.
        name: its own, for sentences.
        parameters: their names, in order.
        hints: their annotations, and that of what it returns.
        events: those that it says it returns.
    """

    handler: Callable[..., Any]
    name: str
    parameters: list[str]
    hints: dict[str, Any]
    events: list[type[Event]]

    @classmethod
    def of(cls, handler: Callable[..., Any]) -> Self:
        """Read a handler.

        Raises:
            UsageError: it is not async, its annotations cannot be read, or it says that it returns
                something else than events.
        """
        name = name_of(handler)
        if inspect.isasyncgenfunction(_function(handler)):
            raise UsageError(
                f"{name} yields: have it return one event, and send others by ctx.emit"
            )
        if not is_async(handler):
            raise UsageError(
                f"{name} must be an async function; where its work blocks: "
                "await anyio.to_thread.run_sync(...)"
            )
        hints = _hints(handler, name)
        parameters = list(inspect.signature(handler).parameters)
        return cls(handler, name, parameters, hints, _events(hints.get("return"), name))

    def expect(self, expected: str, *positional: Any, **named: Any) -> None:
        """See to it that it can be called as it will be.

        Args:
            expected: the signature, to be shown.
            positional: types of the arguments that it is given by position.
            named: types of those that it is given by name.

        Raises:
            UsageError: it takes others.
        """
        types = [*positional, *named.values()]
        if (
            len(self.parameters) != len(types)
            or self.parameters[len(positional) :] != list(named)
            or not takes(self.handler, *positional, **named)
            or not all(map(self._fits, self.parameters, types))
        ):
            found = inspect.signature(self.handler)
            of_class = self.parameters[:1] == ["self"]
            hint = ": declare the method of an instance" if of_class else ""
            raise UsageError(f"{self.name}{found} must have the signature {expected}{hint}")

    def _fits(self, parameter: str, type_: Any) -> bool:
        return self.hints.get(parameter, Any) in (Any, object, type_, get_origin(type_))


def is_async(function: Any) -> bool:
    """Whether calling it makes a coroutine, as far as can be seen."""
    return inspect.iscoroutinefunction(_function(function))


def takes(function: Callable[..., Any], *positional: Any, **named: Any) -> bool:
    """Whether it can be called with these arguments, as far as can be seen."""
    try:
        signature = inspect.signature(function)
    except ValueError:  # it is written in C
        return True
    try:
        signature.bind(*positional, **named)
    except TypeError:
        return False
    return True


def _function(handler: Any) -> Any:
    """What is written as a function, behind a `partial` or an object that can be called."""
    while isinstance(handler, partial):
        handler = handler.func
    if inspect.isroutine(handler) or isinstance(handler, type) or not callable(handler):
        return handler
    return type(handler).__call__


def _hints(handler: Callable[..., Any], name: str) -> dict[str, Any]:
    function = _function(handler)
    local = inspect.getclosurevars(function).nonlocals
    try:
        return get_type_hints(function, localns={**_callers_names(function), **local})
    except (NameError, AttributeError) as error:
        raise UsageError(
            f"the annotations of {name} cannot be read ({error}): "
            "import the event classes at run time, not under TYPE_CHECKING"
        ) from None


def _callers_names(function: Callable[..., Any]) -> dict[str, Any]:
    """Names of the function that defines the handler: plugins are made inside factories."""
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_filename == function.__code__.co_filename:
            return dict(frame.f_locals)
        frame = frame.f_back
    return {}


def _events(annotation: Any, name: str) -> list[type[Event]]:
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    events = []
    for part in parts:
        if isinstance(part, type) and issubclass(part, Event):
            events.append(part)
        elif part not in (None, NoneType, Any):
            raise UsageError(f"{name} must return events or None, not {part!r}")
    return events
