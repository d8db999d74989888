"""What a model says, taken apart as it comes: words for the user, and the SQL that it wants to run.

SQL is what is in the first block that is fenced by three backticks and called `sql`, one of its
dialects, or nothing.
"""

from __future__ import annotations

import re

__all__ = ["Fence"]

_OPENING = re.compile(r"```(\w*)\s")
_TAGS = ("", "sql", "duckdb", "postgresql", "postgres")
_MAX_OPENING_LENGTH = 32  # characters of an opening; a longer one does not open a block


class Fence:
    """Looks for SQL in a stream of text."""

    def __init__(self) -> None:
        self._text = ""  # what may yet be a fence, or is behind one
        self._is_open = False
        self._is_over = False  # whatever comes is said

    @property
    def sql(self) -> str | None:
        """The statement, once all has been fed; None where there is none."""
        if not self._is_open:
            return None
        return self._text.partition("```")[0].strip().rstrip(";").rstrip() or None

    def feed(self, text: str) -> str:
        """Take some text.

        Returns:
            What of it is for the user, as far as that is known yet.
        """
        if self._is_over:
            return text
        self._text += text
        if self._is_open:
            return ""
        at = self._text.find("```")
        if at < 0:  # a fence may have begun
            at = len(self._text.rstrip("`"))
            said, self._text = self._text[:at], self._text[at:]
            return said
        said, self._text = self._text[:at], self._text[at:]
        opening = _OPENING.match(self._text)
        if opening is None and len(self._text) < _MAX_OPENING_LENGTH:
            return said
        if opening is not None and opening[1].lower() in _TAGS:
            self._is_open = True
            self._text = self._text[opening.end() :]
            return said
        self._is_over = True  # another language
        return said + self._text

    def end(self) -> str:
        """What was kept back and is for the user after all; all has been fed."""
        return "" if self._is_open or self._is_over else self._text
