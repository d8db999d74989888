"""How far a chain has been read, and how far it may be."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

import msgspec

from lbproto_compliance.sources.batches import SourceError
from lbproto_compliance.sources.peers import Patience

__all__ = ["Heights", "Moved", "Position", "Span", "settled"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

# How often blocks are read that do not fit together.
_READINGS = 5


class Moved(Exception):
    """What was said is of two blocks of one height: the chain was reorganised meanwhile."""


async def settled(read: Callable[[], Awaitable[T]], patience: Patience) -> T:
    """What comes of reading blocks, which is done again while they move.

    Raises:
        SourceError: they do not stop.
    """
    reading = 0
    while True:
        reading += 1
        try:
            return await read()
        except Moved as moved:
            if reading == _READINGS:
                raise SourceError(
                    f"{moved}, and so it was {_READINGS} times. The blocks are too young, or the "
                    "server contradicts itself: ask for more confirmations, or another server"
                ) from None
            logger.warning("%s; reading again", moved)
            await patience.sleep(patience.pause * reading)


class Position(msgspec.Struct, frozen=True):
    """A checkpoint: what has been read of a chain.

    Args:
        first: height of the first block.
        height: of the last one.
        hash: of that.
        traced: whether what contracts moved was read, too.
    """

    first: int
    height: int
    hash: str
    traced: bool = False

    @classmethod
    def decode(cls, checkpoint: str | None) -> Position | None:
        """Of a batch's checkpoint.

        Raises:
            SourceError: it is not the checkpoint of a chain.
        """
        if checkpoint is None:
            return None
        try:
            return msgspec.json.decode(checkpoint, type=cls)
        except msgspec.DecodeError:
            raise SourceError("the checkpoint is not of a chain read by blocks") from None

    def encode(self) -> str:
        """As a batch has it."""
        return msgspec.json.encode(self).decode()


class Span(NamedTuple):
    """Blocks to read, both ends included. None if `start` is above `last`.

    Attributes:
        first: where reading began, perhaps long ago.
        start: where it goes on.
        last: where it ends.
    """

    first: int
    start: int
    last: int

    def done(self, height: int) -> float:
        """How much of the whole has been read with the block of this height."""
        return (height - self.first + 1) / (self.last - self.first + 1)


class Heights(msgspec.Struct, frozen=True, kw_only=True):
    """Which blocks are asked for.

    Args:
        first: the first one; `None` for the chain's first, or where an earlier import left off.
        last: the last one; `None` for the newest that is confirmed.
        confirmations: how many blocks must stand on a block before it is read. What is younger may
            yet be replaced.
    """

    first: int | None = None
    last: int | None = None
    confirmations: int

    def span(self, position: Position | None, tip: int) -> Span:
        """What to read now.

        Args:
            position: what has been read.
            tip: height of the newest block.

        Raises:
            SourceError: the blocks asked for leave a gap, or the chain is shorter than what has
                been read of it.
        """
        last = tip - self.confirmations
        if self.last is not None:
            last = min(last, self.last)
        if position is None:
            first = self.first or 0
            return Span(first, first, last)
        if self.first is not None and not position.first <= self.first <= position.height + 1:
            raise SourceError(
                f"blocks {position.first} to {position.height} have been imported, and from block "
                f"{self.first} on would leave a gap or come too late. Leave out where to begin, or "
                "import into another directory"
            )
        if tip < position.height:
            raise SourceError(
                f"the newest block is {tip}, and {position.height} has been imported: the server "
                "is behind, or of another chain. Try again later, or another one"
            )
        return Span(position.first, position.height + 1, last)

    def check(self, position: Position, found: str) -> None:
        """That the block that was read last is still the chain's.

        Args:
            position: what has been read.
            found: hash of the block that is there now.

        Raises:
            SourceError: it is another one.
        """
        if found != position.hash:
            raise SourceError(
                f"block {position.height} was imported as {position.hash}, and is {found} now: the "
                "chain was reorganised below what has been imported, or it is another chain. "
                "Import it into a new directory, and with more confirmations than "
                f"{self.confirmations}"
            )
