"""Random ids of connections, sessions and transactions, which cannot be guessed."""

from __future__ import annotations

import os
from secrets import token_urlsafe

__all__ = ["forget", "new_id", "ordered_id"]

_BYTES, _CHARACTERS, _AT_ONCE = 15, 20, 256
_UNIQUE = 12  # of them, 72 bits, for what is unique by its moment already

_made: list[str] = []  # many at once: a call of the operating system takes longer than a request

if hasattr(os, "register_at_fork"):  # a child process has ids of its own
    os.register_at_fork(after_in_child=_made.clear)


def new_id() -> str:
    """20 characters of URL-safe base64, 120 random bits."""
    try:
        return _made.pop()
    except IndexError:  # looking first would not do: another thread may take the last one
        text = token_urlsafe(_BYTES * _AT_ONCE)
        _made.extend(
            text[at : at + _CHARACTERS] for at in range(_CHARACTERS, len(text), _CHARACTERS)
        )
        return text[:_CHARACTERS]


def forget() -> None:
    """Draw the next ones anew: for a simulator, which has replaced where random bits come from."""
    _made.clear()


def ordered_id(now: int) -> str:
    """23 characters: a moment, and 72 random bits.

    Those of later moments are greater: an index that has them in their order is written where it
    ends, which for a database is one page and not one an id.

    Args:
        now: in ms since the Unix epoch; before the year 2527.
    """
    return f"{now:011x}{new_id()[:_UNIQUE]}"
