"""The arguments of an event as they came in: decoded when somebody asks, into what they ask for.

Limits are counted before a payload is decoded, so a codec splits a packet into its arguments
without looking inside them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Raw

from lbproto.errors import InvalidRequest
from lbproto.wire.formats import RequestId

__all__ = ["Arguments", "Inbound", "JSONArguments", "MsgpackArguments", "ObjectArguments"]

T = TypeVar("T")

_MAX_MESSAGE = 500
_MAX_NAME = 128  # characters

_UNFIT = (msgspec.DecodeError, UnicodeError, RecursionError)


def _refusal(error: Exception) -> InvalidRequest:
    if isinstance(error, RecursionError):
        return InvalidRequest("The payload is nested too deeply")
    return InvalidRequest(str(error)[:_MAX_MESSAGE])


class Arguments(Protocol):
    """What a client sent with an event."""

    def first(self, into: type[T]) -> T:
        """The first argument as `into`; no argument, null and `{}` are the same.

        Raises:
            InvalidRequest: it does not fit; the message names the path (`$.room`).
        """
        ...

    def mentions(self, name: re.Pattern[bytes]) -> bool:
        """Whether the first argument may have a field of this name, without decoding it.

        Args:
            name: letters only, compiled: that is how bytes are searched without copying them.
        """
        ...

    def values(self) -> list[Any]:
        """All arguments as plain Python values.

        Raises:
            InvalidRequest: one of them is malformed or nested too deeply.
        """
        ...


# Structs, and without an abstract base, because one is made for every message.


class JSONArguments(msgspec.Struct, eq=False, gc=False):
    """Arguments of a JSON packet, each still as text."""

    raws: Sequence[Raw]

    def mentions(self, name: re.Pattern[bytes]) -> bool:
        return bool(self.raws) and name.search(self.raws[0]) is not None

    def first(self, into: type[T]) -> T:
        raw = self.raws[0] if self.raws else _JSON_NULL
        try:
            value: T = _json_decoder(into).decode(b"{}" if raw == _JSON_NULL else raw)
        except _UNFIT as error:
            raise _refusal(error) from None
        return value

    def values(self) -> list[Any]:
        try:
            return [msgspec.json.decode(raw) for raw in self.raws]
        except _UNFIT as error:
            raise _refusal(error) from None


class MsgpackArguments(msgspec.Struct, eq=False, gc=False):
    """Arguments of a MessagePack packet, each still encoded."""

    raws: Sequence[Raw]

    def mentions(self, name: re.Pattern[bytes]) -> bool:
        return bool(self.raws) and name.search(self.raws[0]) is not None

    def first(self, into: type[T]) -> T:
        raw = self.raws[0] if self.raws else _MSGPACK_NULL
        try:
            value: T = _msgpack_decoder(into).decode(b"\x80" if raw == _MSGPACK_NULL else raw)
        except _UNFIT as error:
            raise _refusal(error) from None
        return value

    def values(self) -> list[Any]:
        try:
            return [msgspec.msgpack.decode(raw) for raw in self.raws]
        except _UNFIT as error:
            raise _refusal(error) from None


class ObjectArguments(msgspec.Struct, eq=False):
    """Arguments that are decoded already, because binary attachments had to be put in."""

    decoded: list[Any]

    def mentions(self, name: re.Pattern[bytes]) -> bool:
        first = self.decoded[0] if self.decoded else None
        return isinstance(first, dict) and name.pattern.decode() in first

    def first(self, into: type[T]) -> T:
        value = self.decoded[0] if self.decoded else None
        try:
            return msgspec.convert({} if value is None else value, into)
        except _UNFIT as error:
            raise _refusal(error) from None

    def values(self) -> list[Any]:
        return self.decoded


_JSON_NULL, _MSGPACK_NULL = Raw(b"null"), Raw(b"\xc0")


class _Timed(msgspec.Struct, eq=False, kw_only=True):
    arrived: float = 0.0


class Inbound(_Timed, eq=False):
    """An event from a client, its arguments not yet decoded.

    Attributes:
        name: the event's name.
        arguments: what came with it.
        id: what the client calls it, where it waits for an acknowledgement.
        arrived: when it came, in seconds of the server's monotonic clock; 0 where nobody asks.
    """

    name: str
    arguments: Arguments
    id: RequestId | None

    @property
    def shown_name(self) -> str:
        """The name as clients and the log are told it: as much of it as an event's name has."""
        return self.name[:_MAX_NAME]


_json_decoder: Callable[[Any], msgspec.json.Decoder[Any]] = cache(msgspec.json.Decoder)
_msgpack_decoder: Callable[[Any], msgspec.msgpack.Decoder[Any]] = cache(msgspec.msgpack.Decoder)
