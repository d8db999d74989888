"""Binary attachments of Socket.IO's JSON packets: bytes travel beside the text, placeholders in it.

Source: socketio/socket.io, docs/socket.io-protocol/v5-current.md, "Packets with binary data".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import msgspec

from lbproto.encoded import Encoded, plain_hook
from lbproto.wire.settings import ProtocolError

__all__ = ["extract", "holds_no_bytes", "may_hold_bytes", "restore"]

holds_no_bytes: set[type] = {str, int, float, bool, type(None)}
"""Types whose values need not be searched for bytes; `may_hold_bytes` adds those it has seen."""

_BYTES = (bytes, bytearray, memoryview)


def extract(values: Sequence[Any]) -> tuple[Sequence[Any], list[bytes]]:
    """Take the bytes out of arguments.

    Returns:
        The arguments with a placeholder wherever there were bytes, and the bytes in that order.
        Where there are none, the arguments themselves.
    """
    buffers: list[bytes] = []
    if may_hold_bytes(values):
        return [_extract(value, buffers) for value in values], buffers
    return values, buffers


def may_hold_bytes(values: Iterable[Any]) -> bool:
    """Whether values have to be searched for bytes; for most, their type tells."""
    for value in values:
        if type(value) in holds_no_bytes:
            continue
        if isinstance(value, msgspec.Struct) and not _struct_may(type(value)):
            holds_no_bytes.add(type(value))
        elif not isinstance(value, dict) or may_hold_bytes(value.values()):
            return True
    return False


def _extract(value: Any, buffers: list[bytes]) -> Any:
    if isinstance(value, _BYTES):
        buffers.append(bytes(value))
        return {"_placeholder": True, "num": len(buffers) - 1}
    if isinstance(value, msgspec.Struct):
        if not _struct_may(type(value)):
            return value
        return _extract(
            msgspec.to_builtins(value, builtin_types=_BYTES, enc_hook=plain_hook), buffers
        )
    if isinstance(value, dict):
        return {key: _extract(item, buffers) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_extract(item, buffers) for item in value]
    return value


@cache
def _struct_may(struct: type[msgspec.Struct]) -> bool:
    schema = msgspec.inspect.type_info(struct)
    return _mentions_bytes(schema, set())


def _mentions_bytes(node: Any, seen: set[type]) -> bool:
    """Whether a type description has bytes, or `Any`, somewhere inside it."""
    if isinstance(node, _BYTES_TYPES):
        return getattr(node, "cls", None) is not Encoded
    if isinstance(node, msgspec.inspect.StructType):
        if node.cls in seen:
            return False
        seen.add(node.cls)
        return any(_mentions_bytes(field.type, seen) for field in node.fields)
    if not isinstance(node, msgspec.inspect.Type):
        return False
    parts: list[Any] = []
    for name in node.__struct_fields__:
        part = getattr(node, name)
        parts.extend(part if isinstance(part, tuple) else (part,))
    return any(_mentions_bytes(part, seen) for part in parts)


_BYTES_TYPES = (
    msgspec.inspect.BytesType,
    msgspec.inspect.ByteArrayType,
    msgspec.inspect.MemoryViewType,
    msgspec.inspect.AnyType,
    msgspec.inspect.CustomType,
)


def restore(value: Any, buffers: Sequence[bytes]) -> Any:
    """Put the attachments back where their placeholders are.

    Raises:
        ProtocolError: a placeholder names an attachment that is not there.
    """
    if isinstance(value, list):
        return [restore(item, buffers) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("_placeholder") is not True:
        return {key: restore(item, buffers) for key, item in value.items()}
    number = value.get("num")
    if type(number) is not int or not 0 <= number < len(buffers):
        raise ProtocolError("a placeholder names no attachment")
    return buffers[number]
