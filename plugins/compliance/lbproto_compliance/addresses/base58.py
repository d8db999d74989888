"""Base58, as Bitcoin writes bytes, and Base58Check, which adds four bytes to notice mistakes."""

from __future__ import annotations

from hashlib import sha256

from lbproto_compliance.addresses.refusals import MalformedAddress

__all__ = ["decode", "decode_checked"]

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_DIGITS = {character: digit for digit, character in enumerate(_ALPHABET)}
_CHECK_BYTES = 4


def decode(text: str) -> bytes:
    """The bytes that a text stands for: a 1 in front for each zero byte in front.

    The time it takes grows with the square of the length: see to it that that is bounded.

    Raises:
        MalformedAddress: a character is not in Base58 (0, O, I and l are not).
    """
    number = 0
    for character in text:
        digit = _DIGITS.get(character)
        if digit is None:
            raise MalformedAddress("alphabet", "it has a character that Base58 does not have")
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def decode_checked(text: str, length: int) -> bytes:
    """The bytes that a text with a checksum stands for, without that.

    Args:
        text: at most a few dozen characters.
        length: how many bytes there have to be.

    Raises:
        MalformedAddress: for its alphabet, length or checksum.
    """
    data = decode(text)
    if len(data) != length + _CHECK_BYTES:
        found = len(data) - _CHECK_BYTES
        raise MalformedAddress("length", f"it is {max(found, 0)} bytes long, not {length}")
    payload, check = data[:-_CHECK_BYTES], data[-_CHECK_BYTES:]
    if sha256(sha256(payload).digest()).digest()[:_CHECK_BYTES] != check:
        raise MalformedAddress("checksum", "its last characters do not match those before")
    return payload
