"""Why a question is not read."""

from __future__ import annotations

from collections.abc import Sequence

from lbproto_chat.semantic.layer import Measure

__all__ = ["Beyond", "Tie", "Unread"]


class Unread(Exception):
    """There are words that no rule uses."""

    def __init__(self, *words: str) -> None:
        self.words = words


class Beyond(Exception):
    """It asks about a time that there are no rows of."""

    def __init__(self, text: str) -> None:
        self.text = text


class Tie(Exception):
    """A number may be of several measures."""

    def __init__(self, measures: Sequence[Measure]) -> None:
        self.measures = measures
