"""Cursors: where a walk through an address's transactions goes on.

A cursor says which snapshot the walk is of and which transaction it has come to, signed together
with the chain and the address: a client can neither make one up nor use one elsewhere.
"""

from __future__ import annotations

import os
from base64 import b64decode, urlsafe_b64encode
from contextlib import suppress
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as keyed_digest
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import NamedTuple

import msgspec

from lbproto import InvalidRequest
from lbproto_compliance.store import Key

__all__ = ["Cursor", "Cursors", "key_of_store"]

_KEY_BYTES = 32
_SIGNATURE_BYTES = 16
_REFUSED = "the cursor is not one of this address's, or was changed: begin again - at `$.cursor`"


class Cursor(NamedTuple):
    """Where a walk goes on.

    Attributes:
        snapshot_id: the data that it is of.
        after: behind which transaction.
    """

    snapshot_id: str
    after: Key


class Cursors:
    """Writes and reads them.

    Args:
        key: signs them: the same on all nodes, 16 bytes at least, and kept secret. A new one makes
            those invalid that are in use.

    Raises:
        ValueError: the key is too short.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < _SIGNATURE_BYTES:
            raise ValueError(f"a key has {_SIGNATURE_BYTES} bytes at least, not {len(key)}")
        self._key = key

    def write(self, cursor: Cursor, chain: str, address: str) -> str:
        """A cursor as a text, for a walk through this address's transactions."""
        content = msgspec.msgpack.encode(cursor)
        return _text(self._signature(content, chain, address) + content)

    def read(self, text: str, chain: str, address: str) -> Cursor:
        """What a text says.

        Raises:
            InvalidRequest: it was not written by `write` with this key, chain and address.
        """
        try:
            signed = b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raise InvalidRequest(_REFUSED) from None
        signature, content = signed[:_SIGNATURE_BYTES], signed[_SIGNATURE_BYTES:]
        right = self._signature(content, chain, address)
        # Several texts stand for the same bytes; one of them was written.
        if not compare_digest(signature, right) or _text(signed) != text:
            raise InvalidRequest(_REFUSED)
        return msgspec.msgpack.decode(content, type=Cursor)

    def _signature(self, content: bytes, chain: str, address: str) -> bytes:
        message = msgspec.msgpack.encode((chain, address, content))
        return keyed_digest(self._key, message, sha256)[:_SIGNATURE_BYTES]


def _text(signed: bytes) -> str:
    return urlsafe_b64encode(signed).rstrip(b"=").decode()


def key_of_store(directory: Path) -> bytes:
    """The key that is kept in a store's directory; made when it is asked for first.

    All nodes that share the directory have the same one. Blocks.

    Raises:
        OSError: there is none, and none can be written.
        ValueError: the file does not hold a key.
    """
    path = directory / "cursor.key"
    with suppress(FileNotFoundError):
        return _checked(path)
    directory.mkdir(parents=True, exist_ok=True)
    made = directory / f"cursor.key.{token_hex(8)}"
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):  # another node was first: its key is everybody's
            path.hardlink_to(made)
    finally:
        made.unlink()
    return _checked(path)


def _checked(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise ValueError(f"{path} holds {len(key)} bytes, not the {_KEY_BYTES} of a key")
    return key
