"""Addresses of witness programs in Bech32 (BIP 173) and Bech32m (BIP 350), taproot among them.

The libraries that there are either know Bech32 only, and so refuse taproot, or do not say what is
wrong with an address.
"""

from __future__ import annotations

from typing import NamedTuple

from lbproto_compliance.addresses.refusals import MalformedAddress

__all__ = ["Encoded", "Witness", "decode", "decode_witness"]

_CHARACTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_VALUES = {character: value for value, character in enumerate(_CHARACTERS)}
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CONSTANTS = {1: False, 0x2BC830A3: True}
"""What a right checksum comes to, and whether it is Bech32m's."""

_ALPHABET = "it has a character that Bech32 does not have"

_MAX_LENGTH = 90
_CHECK_CHARACTERS = 6


class Encoded(NamedTuple):
    """A text in one of the two encodings.

    Attributes:
        prefix: what stands before the last 1, in lower case.
        values: what stands behind it, without the checksum: numbers of five bits.
        modified: whether it is Bech32m.
    """

    prefix: str
    values: list[int]
    modified: bool


class Witness(NamedTuple):
    """What an output pays to.

    Attributes:
        prefix: which network it is of.
        version: 0, 1 for taproot, and up to 16.
        program: 2 to 40 bytes.
    """

    prefix: str
    version: int
    program: bytes


def decode(text: str) -> Encoded:
    """Undo either encoding.

    Raises:
        MalformedAddress: for its length, encoding, alphabet or checksum.
    """
    if len(text) > _MAX_LENGTH:
        raise MalformedAddress("length", f"it is longer than {_MAX_LENGTH} characters")
    if not all("!" <= character <= "~" for character in text):
        raise MalformedAddress("alphabet", _ALPHABET)
    if text not in (text.lower(), text.upper()):
        raise MalformedAddress("encoding", "it mixes upper and lower case")
    prefix, _, rest = text.lower().rpartition("1")
    if not prefix:
        raise MalformedAddress("encoding", "it has nothing before a 1")
    if len(rest) < _CHECK_CHARACTERS:
        raise MalformedAddress("length", "it is too short for a checksum")
    try:
        values = [_VALUES[character] for character in rest]
    except KeyError:
        raise MalformedAddress("alphabet", _ALPHABET) from None
    modified = _CONSTANTS.get(_checksum(prefix, values))
    if modified is None:
        raise MalformedAddress("checksum", "its last characters do not match those before")
    return Encoded(prefix, values[:-_CHECK_CHARACTERS], modified)


def decode_witness(text: str) -> Witness:
    """What an address pays to; any network's.

    Raises:
        MalformedAddress: as `decode` does, and for the version or the length of the program.
    """
    prefix, values, modified = decode(text)
    if not values:
        raise MalformedAddress("length", "there is nothing between its prefix and its checksum")
    version = values[0]
    if version > 16:
        raise MalformedAddress("version", f"witness version {version} is more than 16")
    program = _bytes(values[1:])
    if not 2 <= len(program) <= 40:
        raise MalformedAddress("length", f"its program is {len(program)} bytes long, not 2 to 40")
    if version == 0 and len(program) not in (20, 32):
        raise MalformedAddress(
            "length", f"its program is {len(program)} bytes long, not 20 or 32 as of version 0"
        )
    if modified != (version > 0):
        wanted = "Bech32m" if version else "Bech32"
        raise MalformedAddress("encoding", f"witness version {version} is written in {wanted}")
    return Witness(prefix, version, program)


def _checksum(prefix: str, values: list[int]) -> int:
    checksum = 1
    spread = [ord(character) >> 5 for character in prefix]
    spread += [0, *(ord(character) & 31 for character in prefix)]
    for value in (*spread, *values):
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(_GENERATORS):
            if top >> bit & 1:
                checksum ^= generator
    return checksum


def _bytes(values: list[int]) -> bytes:
    """Numbers of five bits as bytes; the bits that are left over have to be few, and zero."""
    number = 0
    for value in values:
        number = number << 5 | value
    padding = len(values) * 5 % 8
    if padding > 4 or number & ((1 << padding) - 1):
        raise MalformedAddress("encoding", "it ends with bits that stand for nothing")
    return (number >> padding).to_bytes(len(values) * 5 // 8, "big")
