"""What pages show of outputs and of JSON, read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

__all__ = ["fits", "values"]


def fits(expected: str, printed: str, *, numbers_vary: bool = False) -> bool:
    """Whether something was printed as a page shows it.

    Args:
        expected: with `...` for anything, on one line or several.
        printed: empty lines, and what is behind the last word of a line, make no difference.
        numbers_vary: whether there may be any number where there is one.
    """
    lines = [_pattern(line, numbers_vary=numbers_vary) for line in _lines(expected)]
    return re.fullmatch(r"\n".join(lines), "\n".join(_lines(printed)), re.DOTALL) is not None


def values(text: str) -> Iterator[Any]:
    """The values of JSON, one behind the other."""
    decoder, text = json.JSONDecoder(), text.strip()
    while text:
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:].lstrip()


def _lines(text: str) -> list[str]:
    """Those of a text; how wide a terminal is makes no difference."""
    lines = [re.sub("={4,}", "====", line.rstrip()) for line in text.splitlines()]
    return [line for line in lines if line]


def _pattern(line: str, *, numbers_vary: bool) -> str:
    pattern = re.escape(line).replace(r"\.\.\.", ".*?")
    return re.sub(r"\d(\\?[\d,.])*", r"\\d[\\d,.]*", pattern) if numbers_vary else pattern
