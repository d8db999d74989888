"""Questions answered without a model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import msgspec
from anyio import to_thread

from lbproto_chat.semantic.layer import Layer
from lbproto_chat.semantic.reading import Ambiguous, Outside, Reader, Reading
from lbproto_chat.semantic.say import Row, sentences
from lbproto_chat.semantic.settle import MAX_ROWS

__all__ = ["Answer", "Run", "SemanticAnswerer"]

Run: TypeAlias = Callable[[str], Awaitable[tuple[Sequence[Row], bool]]]
"""Runs a query; gives its rows, each in the order of its columns, and whether there were more."""


class Answer(msgspec.Struct, frozen=True):
    """An answer.

    Args:
        text: it, in sentences.
        sql: the statement that ran, exactly; none did where the question is asked back or refused.
        reading: how the question was taken.
    """

    text: str
    sql: str | None
    reading: Reading | Ambiguous | Outside


class SemanticAnswerer:
    """Answers questions about what a layer declares, by a query for each.

    Args:
        layer: what questions can be about.
        run: runs a query, as the user who asks: under the guard and the limits that hold for
            queries, after the engine has looked at what it gives (DESCRIBE). It returns the rows,
            and whether there were more. What it raises goes to the caller of `answer`.
    """

    def __init__(self, layer: Layer, run: Run) -> None:
        self._reader = Reader(layer)
        self._run = run

    async def answer(self, question: str, history: Sequence[str] = ()) -> Answer:
        """Answer a question, ask back, or say what there are answers about.

        Args:
            question: any text.
            history: earlier questions of the conversation, the oldest first.
        """
        # Long nonsense after more of it takes some tenth of a second: other clients do not wait.
        reading = await to_thread.run_sync(self._reader.read, question, history)
        if not isinstance(reading, Reading):
            return Answer(reading.text, None, reading)
        rows, is_cut = await self._run(reading.sql)
        is_cut = is_cut or len(rows) >= MAX_ROWS  # no statement asks for more
        return Answer(sentences(reading, rows, is_cut=is_cut), reading.sql, reading)
