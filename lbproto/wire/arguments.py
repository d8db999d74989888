"""The arguments of an event as they came in: decoded when somebody asks, into what they ask for.

Limits are counted before a payload is decoded, so a codec splits a packet into its arguments
without looking inside them.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Raw

from lbproto.errors import InvalidRequest
from lbproto.wire.formats import RequestId

__all__ = ["Arguments", "Inbound", "JSONArguments", "MsgpackArguments", "ObjectArguments"]

T = TypeVar("T")

_MAX_MESSAGE = 500

_UNFIT = (msgspec.DecodeError, UnicodeError, RecursionError)


def _refusal(error: Exception) -> InvalidRequest:
    if isinstance(error, RecursionError):
        return InvalidRequest("The payload is nested too deeply")
    return InvalidRequest(str(error)[:_MAX_MESSAGE])


class Arguments(ABC):
    """What a client sent with an event."""

    __slots__ = ()

    @abstractmethod
    def first(self, into: type[T]) -> T:
        """The first argument as `into`; no argument, null and `{}` are the same.

        Raises:
            InvalidRequest: it does not fit; the message names the path (`$.room`).
        """

    @abstractmethod
    def mentions(self, name: re.Pattern[bytes]) -> bool:
        """Whether the first argument may have a field of this name, without decoding it.

        Args:
            name: letters only, compiled: that is how bytes are searched without copying them.
        """

    def values(self) -> list[Any]:
        """All arguments as plain Python values.

        Raises:
            InvalidRequest: one of them is malformed or nested too deeply.
        """
        try:
            return self._values()
        except _UNFIT as error:
            raise _refusal(error) from None

    @abstractmethod
    def _values(self) -> list[Any]: ...


class _RawArguments(Arguments):
    """Arguments that are still encoded."""

    __slots__ = ("_raws",)

    def __init__(self, raws: Sequence[Raw]) -> None:
        self._raws = raws

    def mentions(self, name: re.Pattern[bytes]) -> bool:
        return bool(self._raws) and name.search(self._raws[0]) is not None


_JSON_NULL, _MSGPACK_NULL = Raw(b"null"), Raw(b"\xc0")


class JSONArguments(_RawArguments):
    """Arguments of a JSON packet, each still as text."""

    __slots__ = ()

    def first(self, into: type[T]) -> T:
        raw = self._raws[0] if self._raws else _JSON_NULL
        try:
            value: T = _json_decoder(cast(Any, into)).decode(b"{}" if raw == _JSON_NULL else raw)
        except _UNFIT as error:
            raise _refusal(error) from None
        return value

    def _values(self) -> list[Any]:
        return [msgspec.json.decode(raw) for raw in self._raws]


class MsgpackArguments(_RawArguments):
    """Arguments of a MessagePack packet, each still encoded."""

    __slots__ = ()

    def first(self, into: type[T]) -> T:
        raw = self._raws[0] if self._raws else _MSGPACK_NULL
        try:
            value: T = _msgpack_decoder(cast(Any, into)).decode(
                b"\x80" if raw == _MSGPACK_NULL else raw
            )
        except _UNFIT as error:
            raise _refusal(error) from None
        return value

    def _values(self) -> list[Any]:
        return [msgspec.msgpack.decode(raw) for raw in self._raws]


class ObjectArguments(Arguments):
    """Arguments that are decoded already, because binary attachments had to be put in."""

    __slots__ = ("_decoded",)

    def __init__(self, values: list[Any]) -> None:
        self._decoded = values

    def mentions(self, name: re.Pattern[bytes]) -> bool:
        first = self._decoded[0] if self._decoded else None
        return isinstance(first, dict) and name.pattern.decode() in first

    def first(self, into: type[T]) -> T:
        value = self._decoded[0] if self._decoded else None
        try:
            return msgspec.convert({} if value is None else value, into)
        except _UNFIT as error:
            raise _refusal(error) from None

    def _values(self) -> list[Any]:
        return self._decoded


class Inbound(msgspec.Struct, eq=False):
    """An event from a client, its arguments not yet decoded.

    Attributes:
        name: the event's name.
        arguments: what came with it.
        id: what the client calls it, where it waits for an acknowledgement.
    """

    name: str
    arguments: Arguments
    id: RequestId | None


@cache
def _json_decoder(into: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(into)


@cache
def _msgpack_decoder(into: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(into)
