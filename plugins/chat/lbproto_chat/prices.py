"""What tokens cost."""

from __future__ import annotations

from dataclasses import dataclass

from lbproto_chat.events import Chat, Usage
from lbproto_chat.tokens import about

__all__ = ["TokenPrice"]


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """Credits for so many tokens; what a turn costs is rounded up, once.

    Before a turn begins, credits are set aside for what it may take; when they are used up, as
    much again is. So a turn needs about the estimate to begin, and ends where no more is left.

    Args:
        prompt: credits for `per` tokens that are read: the question, history, schema, results.
        completion: credits for `per` tokens that are written.
        per: tokens.
        overhead: tokens that are read with a question, as an estimate.
        expected: tokens that an answer has, as an estimate.
    """

    prompt: int = 1
    completion: int = 1
    per: int = 1
    overhead: int = 500
    expected: int = 200

    def of(self, usage: Usage) -> int:
        """What so many tokens cost."""
        return -(-(usage.prompt * self.prompt + usage.completion * self.completion) // self.per)

    def estimate(self, chat: Chat) -> int:
        """What is set aside for a question."""
        return self.of(Usage(about(chat.message) + self.overhead, self.expected))
