"""Names as keys of a document, which has fewer characters for them than events and rooms have."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["keys"]

_UNFIT = re.compile(r"[^a-zA-Z0-9._-]")


def keys(names: Iterable[str], prefix: str) -> dict[str, str]:
    """A key for each name, by name: with the prefix, no two the same, always made in the same way.

    Args:
        names: each once.
        prefix: what the keys begin with.
    """
    made: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        key = prefix + _UNFIT.sub("_", name)
        while key in taken:
            key += "_"
        taken.add(key)
        made[name] = key
    return made
