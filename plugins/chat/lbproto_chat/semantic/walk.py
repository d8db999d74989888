"""Going through a question's items: those to come, and what those before them have become."""

from __future__ import annotations

from collections.abc import Sequence

from lbproto_chat.semantic.frames import Condition
from lbproto_chat.semantic.lexicon import Item

__all__ = ["Walk"]


class Walk:
    """A place among items.

    Attributes:
        left: the items from here on; rules take them away, or put others in their place.
        done: those before, as rules have left them.
    """

    def __init__(self, items: Sequence[Item]) -> None:
        self.left = list(items)
        self.done: list[Item] = []

    def comes(self, *kinds: str) -> bool:
        """Whether the next items are of these kinds; several for one place are parted by spaces."""
        if len(self.left) < len(kinds):
            return False
        return all(item.kind in kind.split() for item, kind in zip(self.left, kinds, strict=False))

    def put(self, used: int, condition: Condition) -> bool:
        """Put a condition in the place of the next `used` items; true, as a rule that applied."""
        text = " ".join(each.text for each in self.left[:used])
        del self.left[:used]
        self.done.append(Item("condition", condition, text))
        return True
