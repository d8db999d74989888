"""The vocabulary: typed events whose wire names follow from their Python names.

`Event` subclasses are `msgspec` structs. The wire name of an event is its class name in snake_case
(`MarketDataResponse` is `market_data_response`), the wire name of a field its name in camelCase
(`next_cursor` is `nextCursor`), so that no name is written twice. A field with a default is
optional on the wire and left out while it has that default; a field without one is always sent,
also when it is null.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Self, dataclass_transform

import msgspec

from lbproto.errors import ErrorCode, RequestError, UsageError

__all__ = ["ErrorEvent", "Event", "Model", "Secret", "camel_case", "event_name"]

Secret = msgspec.Meta(extra={"secret": True})
"""Marks a field that no recording shows: `token: Annotated[str, Secret]`."""

_MAX_NAME = 128  # characters of an event's name

# Words that the published contract writes in capitals inside a field name (`amountUSD`).
_CAPITALS = {"usd": "USD"}

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def event_name(class_name: str) -> str:
    """The wire name of an event class: `HTTPError` is `http_error`."""
    return _WORD_START.sub("_", class_name).lower()


def camel_case(field: str) -> str:
    """The wire name of a field: `amount_usd` is `amountUSD`; a trailing underscore is dropped.

    The underscore lets a field have the name of a Python keyword: `from_` is `from`.
    """
    first, *rest = field.rstrip("_").split("_")
    return first + "".join(_CAPITALS.get(word, word.capitalize()) for word in rest)


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Model(msgspec.Struct, frozen=True, omit_defaults=True, rename=camel_case):
    """A value nested in events: immutable, camelCase on the wire, unknown fields ignored."""


class _EventMeta(msgspec.StructMeta):
    """Accepts `event="order:created"` beside msgspec's own class options."""

    def __new__(
        mcls,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        event: str | None = None,
        **config: Any,
    ) -> _EventMeta:
        cls = super().__new__(mcls, name, bases, namespace, **config)
        cls.event_name = event_name(name) if event is None else event
        if not 1 <= len(cls.event_name) <= _MAX_NAME:
            raise UsageError(
                f"{name}: an event's name has 1 to {_MAX_NAME} characters, not "
                f"{len(cls.event_name)}; give it one by `class {name}(Event, event=...)`"
            )
        return cls

    event_name: str


class Event(Model, metaclass=_EventMeta):
    """A message with a name, in either direction.

    In a request, the field `request_id` is the protocol's: who asks again by the same one is
    answered as before, and the handler does not run. A request need not declare it; for a handler
    that wants to read it, declare `request_id: str | None = None`.

    Args (of the class statement):
        event: the wire name, 1-128 characters; by default the class name in snake_case. No server
            takes `ack`, nor what a client of Socket.IO tells its program by itself: `connect`,
            `connect_error`, `disconnect`, `disconnecting`, `newListener`, `removeListener`.

    Raises:
        UsageError: the name is empty, or too long.
    """

    event_name: ClassVar[str]


class ErrorEvent(Event, kw_only=True):
    """An event that carries the envelope `{code, message, retryAfter?}`; subclass it per domain.

    A subclass may add the field `event` (filled with the request's name) and fields that the
    refused request has too, by the same name (`query_id`): those are copied from it.
    """

    code: ErrorCode
    message: str
    retry_after: int | None = None

    @classmethod
    def own_fields(cls) -> list[str]:
        """The fields of this class beside the envelope's."""
        return [name for name in cls.__struct_fields__ if name not in _ENVELOPE]

    @classmethod
    def of(cls, error: RequestError, **fields: Any) -> Self:
        """The envelope of `error`.

        Args:
            error: the error to describe.
            fields: values for the subclass's own fields; those it does not have are ignored, and so
                are those of the envelope (a request may have a `message` of its own).

        Raises:
            UsageError: the subclass has a required field that is not among `fields`.
        """
        own = {name: fields[name] for name in cls.own_fields() if name in fields}
        try:
            return cls(
                code=error.code,
                message=error.message,
                retry_after=error.retry_after_seconds,
                **own,
            )
        except TypeError as missing:
            raise UsageError(
                f"{cls.__name__} cannot carry a refusal: {missing}; give the field a default"
            ) from None


_ENVELOPE = frozenset(ErrorEvent.__struct_fields__)
