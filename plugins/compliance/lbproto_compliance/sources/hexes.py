"""Numbers, addresses and hashes as Ethereum's JSON-RPC writes them."""

from __future__ import annotations

import re

__all__ = ["address_of", "hash_of", "number_of", "topic_address"]

_NUMBER = re.compile(r"0x[0-9a-fA-F]{1,64}")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_PADDING = "0x" + "0" * 24
_SHOWN = 80


def number_of(text: str) -> int:
    """A quantity of up to 256 bits, or `ValueError`."""
    return int(_matching(_NUMBER, "number", text), 16)


def address_of(text: str) -> str:
    """An address in its canonical form, or `ValueError`."""
    return _matching(_ADDRESS, "address", text)


def hash_of(text: str) -> str:
    """A hash of a block or a transaction in lower case, or `ValueError`."""
    return _matching(_HASH, "hash", text)


def topic_address(text: str) -> str:
    """The address that a log has as a topic, 32 bytes wide, or `ValueError`."""
    topic = _matching(_HASH, "topic", text)
    if not topic.startswith(_PADDING):
        raise ValueError(f"a topic that is not an address: {topic}")
    return "0x" + topic[len(_PADDING) :]


def _matching(pattern: re.Pattern[str], what: str, text: str) -> str:
    if not pattern.fullmatch(text):
        raise ValueError(f"no {what}: {text[:_SHOWN]!r}")
    return text.lower()
