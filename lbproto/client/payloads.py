"""What an event from the server says, decoded when somebody asks, into what they ask for. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar, Protocol, TypeVar

import msgspec
from msgspec import Raw

from lbproto.encoded import decode_hook
from lbproto.wire.settings import ProtocolError

__all__ = ["JSONPayload", "MsgpackPayload", "Payload", "PlainPayload"]

T = TypeVar("T")

_UNFIT = (msgspec.DecodeError, UnicodeError, RecursionError)
_MAX_SHOWN = 500  # characters of what is wrong


class Payload(Protocol):
    """The payload of an event, or the body of an acknowledgement."""

    @property
    def str_keys(self) -> bool:
        """Whether the wire knows keys of maps as text only."""
        ...

    def into(self, cls: type[T]) -> T:
        """The payload as this class; null and `{}` are the same.

        Raises:
            ProtocolError: it does not fit; the message names the path.
        """
        ...

    def plain(self) -> Any:
        """The payload as plain Python values.

        Raises:
            ProtocolError: it is malformed, or nested too deeply.
        """
        ...


class JSONPayload(msgspec.Struct, eq=False, gc=False):
    """A JSON text."""

    str_keys: ClassVar[bool] = True
    raw: Raw

    def into(self, cls: type[T]) -> T:
        raw = _EMPTY_OBJECT if _is_nothing(self.raw) else self.raw
        try:
            value: T = _json_decoder(cls).decode(raw)
        except _UNFIT as error:
            raise _misfit(error) from None
        return value

    def plain(self) -> Any:
        try:
            return msgspec.json.decode(self.raw) if self.raw else None
        except _UNFIT as error:
            raise _misfit(error) from None


class MsgpackPayload(msgspec.Struct, eq=False, gc=False):
    """A MessagePack object."""

    str_keys: ClassVar[bool] = False
    raw: Raw

    def into(self, cls: type[T]) -> T:
        raw = _EMPTY_MAP if _is_nothing(self.raw) else self.raw
        try:
            value: T = _msgpack_decoder(cls).decode(raw)
        except _UNFIT as error:
            raise _misfit(error) from None
        return value

    def plain(self) -> Any:
        try:
            return msgspec.msgpack.decode(self.raw) if self.raw else None
        except _UNFIT as error:
            raise _misfit(error) from None


class PlainPayload(msgspec.Struct, eq=False):
    """Values that are decoded already.

    Attributes:
        value: it.
        str_keys: see `Payload`.
    """

    value: Any
    str_keys: bool

    def into(self, cls: type[T]) -> T:
        value = {} if self.value is None else self.value
        try:
            return msgspec.convert(value, cls, str_keys=self.str_keys, dec_hook=decode_hook)
        except _UNFIT as error:
            raise _misfit(error) from None

    def plain(self) -> Any:
        return self.value


def _misfit(error: Exception) -> ProtocolError:
    if isinstance(error, RecursionError):
        return ProtocolError("it is nested too deeply")
    return ProtocolError(str(error)[:_MAX_SHOWN])


_EMPTY_OBJECT, _EMPTY_MAP = Raw(b"{}"), Raw(b"\x80")
_NOTHING = (b"", b"null", b"\xc0")
_NULL_BYTES = 4


def _is_nothing(raw: Raw) -> bool:
    return len(raw) <= _NULL_BYTES and bytes(raw) in _NOTHING


def _decoder_of(kind: Callable[..., Any]) -> Callable[[Any], Any]:
    return cache(lambda cls: kind(cls, dec_hook=decode_hook))


_json_decoder = _decoder_of(msgspec.json.Decoder)
_msgpack_decoder = _decoder_of(msgspec.msgpack.Decoder)
