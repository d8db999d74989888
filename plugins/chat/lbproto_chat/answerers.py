"""The port behind which answers are made: from a layer of meanings, or by a language model."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

__all__ = ["Answerer", "Exchange", "Question", "Reply"]


class Exchange(msgspec.Struct, frozen=True):
    """One turn of the past: what was asked, what was answered, and the SQL that ran for it."""

    question: str
    answer: str
    sql: str | None = None


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be answered. All of it comes from users: data, never instructions.

    Attributes:
        text: what is asked.
        application_id: whose data it is about; the user may name it.
        history: the turns before, the oldest first, as far as they are remembered.
        context: what the client sent beside it; plain values.
    """

    text: str
    application_id: str = "default"
    history: tuple[Exchange, ...] = ()
    context: Any = None


class Reply(Protocol):
    """Where an answer goes, part by part."""

    async def say(self, text: str, tokens: int = 0) -> None:
        """Say some of it; waits while the user is far behind with reading.

        Args:
            text: is appended to what was said.
            tokens: that it surely has, where that is known.

        Raises:
            LimitExceeded: the answer is too long; let it pass.
        """
        ...

    def ran(self, sql: str) -> None:
        """Tell the statement that ran, exactly; of several the last counts."""
        ...

    def used(self, prompt: int, completion: int) -> None:
        """Tell what it took, in tokens; it adds up. Where none is told it is estimated."""
        ...


class Answerer(Protocol):
    """Makes the answers of turns, any number at once."""

    async def answer(self, question: Question, reply: Reply) -> None:
        """Answer one question; cancelled when the turn is.

        Raises:
            RequestError: there is no answer, for this reason; what was said stays said.
        """
        ...
