"""What happened in a world, as a person reads it: who did what, at which virtual time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec

__all__ = ["Broken", "Line", "Story"]

_MAX_TEXT = 160


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened.

    Attributes:
        at: seconds of virtual time.
        who: a guest, a node, or the network.
        what: in words.
        about: what it is about: an event, or nothing.
    """

    at: float
    who: str
    what: str
    about: Any = None

    def __str__(self) -> str:
        about = "" if self.about is None else f" {shown(self.about)}"
        return f"{self.at:9.4f}  {self.who:<8} {self.what}{about}"


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that was not kept.

    Attributes:
        promise: which: a short name, such as `gap`.
        at: seconds of virtual time.
        who: whom it was given to.
        expected: in words.
        came: likewise.
    """

    promise: str
    at: float
    who: str
    expected: str
    came: str

    def __str__(self) -> str:
        return (
            f"{self.promise}: at {self.at:.4f} s, to {self.who}\n"
            f"  expected  {self.expected}\n"
            f"  came      {self.came}"
        )


class Story:
    """Writes down what happens.

    Args:
        time: virtual time, in seconds.

    Attributes:
        lines: what happened, in order.
        broken: the promises that were not kept.
    """

    def __init__(self, time: Callable[[], float]) -> None:
        self.lines: list[Line] = []
        self.broken: list[Broken] = []
        self._time = time

    def tell(self, who: str, what: str, about: Any = None) -> None:
        """Something happens."""
        self.lines.append(Line(self._time(), who, what, about))

    def break_(self, promise: str, who: str, expected: str, came: str) -> None:
        """A promise is not kept."""
        broken = Broken(promise, self._time(), who, expected, came)
        self.broken.append(broken)
        self.lines.append(Line(broken.at, who, f"!! {promise}: expected {expected}; came {came}"))

    @property
    def digest(self) -> str:
        """What tells this story from any other: the same for the same seed, everywhere."""
        digest = sha256()
        for line in self.lines:
            digest.update(f"{line.at!r} {line.who} {line.what} ".encode())
            digest.update(msgspec.msgpack.encode(line.about, enc_hook=repr))
        return digest.hexdigest()


def shown(about: Any) -> str:
    """Something, in few words."""
    text = about if isinstance(about, str) else repr(about)
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}…"
