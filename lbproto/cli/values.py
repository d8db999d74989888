"""Values from the wire as text that a terminal can be shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

__all__ = ["align", "printable", "text_of"]


def printable(text: str) -> str:
    """The text without what would steer a terminal: other users may have written it."""
    if text.isprintable():
        return text
    return "".join(
        part if part.isprintable() else part.encode("unicode_escape").decode() for part in text
    )


def text_of(value: Any) -> str:
    """A value in one line: text as it is, everything else in JSON."""
    return printable(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def align(values: Sequence[Any]) -> list[str]:
    """The values of a column; numbers get as many decimals as the one that has most of them."""
    texts = ["" if value is None else text_of(value) for value in values]
    numbers = [type(value) in (int, float) for value in values]
    shown = [text for text, number in zip(texts, numbers, strict=True) if number]
    decimals = max((len(text.partition(".")[2]) for text in shown), default=0)
    if decimals == 0 or any("e" in text for text in shown):
        return texts
    return [
        f"{value:.{decimals}f}" if number else text
        for value, text, number in zip(values, texts, numbers, strict=True)
    ]
