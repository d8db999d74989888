"""A value that is already encoded, as by a database, and is sent without decoding."""

from __future__ import annotations

from typing import Any, Self

import msgspec

__all__ = ["Encoded", "decode_hook", "json_hook", "msgpack_hook", "plain_hook"]


class Encoded:
    """The value of an event's field, in JSON or MessagePack.

    A client gets it as it is where it reads that form; for the others it is put into theirs, once.
    Two are equal where their bytes are.
    """

    __slots__ = ("_json", "_msgpack")

    def __init__(self) -> None:
        self._json: bytes | None = None
        self._msgpack: bytes | None = None

    @classmethod
    def of_json(cls, data: bytes) -> Self:
        """The value of a JSON text, in UTF-8; not validated."""
        encoded = cls()
        encoded._json = data
        return encoded

    @classmethod
    def of_msgpack(cls, data: bytes) -> Self:
        """The value of a MessagePack object; not validated."""
        encoded = cls()
        encoded._msgpack = data
        return encoded

    @property
    def json(self) -> bytes:
        """The value in JSON."""
        if self._json is None:
            self._json = msgspec.json.encode(self.value)
        return self._json

    @property
    def msgpack(self) -> bytes:
        """The value in MessagePack."""
        if self._msgpack is None:
            self._msgpack = msgspec.msgpack.encode(self.value)
        return self._msgpack

    @property
    def value(self) -> Any:
        """The decoded value."""
        if self._msgpack is not None:
            return msgspec.msgpack.decode(self._msgpack)
        return msgspec.json.decode(self._json or b"null")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Encoded):
            return NotImplemented
        return self.json == other.json

    def __hash__(self) -> int:
        return hash(self.json)

    def __repr__(self) -> str:
        return f"Encoded({self.json[:60]!r})"


def json_hook(value: Any) -> Any:
    """What msgspec's JSON encoders need to know of it."""
    return msgspec.Raw(_known(value).json)


def msgpack_hook(value: Any) -> Any:
    """What msgspec's MessagePack encoders need to know of it."""
    return msgspec.Raw(_known(value).msgpack)


def plain_hook(value: Any) -> Any:
    """What `msgspec.to_builtins` needs to know of it."""
    return _known(value).value


def decode_hook(into: type, value: Any) -> Any:
    """What msgspec's decoders need to know of it."""
    if into is Encoded:
        return Encoded.of_msgpack(msgspec.msgpack.encode(value))
    raise NotImplementedError(f"nothing is decoded into {into.__qualname__}")


def _known(value: Any) -> Encoded:
    if isinstance(value, Encoded):
        return value
    raise TypeError(f"a value of type {type(value).__qualname__} cannot be sent")
