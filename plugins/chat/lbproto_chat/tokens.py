"""Tokens, where nobody counts them for us: estimates from UTF-8."""

from __future__ import annotations

__all__ = ["about", "at_least"]


def about(text: str) -> int:
    """How many tokens a text has, about: four bytes each, as in English."""
    return -(-_bytes(text) // 4)


def at_least(text: str) -> int:
    """How many it surely has: what may be charged before it is known."""
    return -(-_bytes(text) // 8)


def _bytes(text: str) -> int:
    return len(text.encode(errors="surrogatepass"))
