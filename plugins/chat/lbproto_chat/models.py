"""The port to language models: messages in, a stream of text out, and what it took at its end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, NamedTuple, Protocol, Self

__all__ = ["Delta", "LanguageModel", "Message", "ModelStream"]


class Message(NamedTuple):
    """One message to a model."""

    role: Literal["system", "user", "assistant"]
    content: str


class Delta(NamedTuple):
    """Some text of the answer, never none, and how many tokens it has at least."""

    text: str
    tokens: int


class ModelStream(Protocol):
    """An answer under way: iterate over it once.

    What goes wrong is raised where it is iterated over: `Overloaded` (the model is out of reach, or
    has broken off), `RequestTimeout` (nothing came for too long), `LimitExceeded` (too much did).
    """

    @property
    def usage(self) -> tuple[int, int] | None:
        """Tokens of the messages and of the answer; None until its end, or where it is not told."""
        ...

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Delta: ...


class LanguageModel(Protocol):
    """Answers messages."""

    def stream(
        self, messages: Sequence[Message], *, max_tokens: int
    ) -> AbstractAsyncContextManager[ModelStream]:
        """Ask it; leaving the context before the end makes it stop.

        Args:
            messages: of which the last one is answered.
            max_tokens: that the answer may have; it breaks off there.

        Entering raises as iterating over the stream does. Whatever may be tried again was, before
        this is entered; once there was a token nothing is.
        """
        ...
