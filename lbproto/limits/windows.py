"""Rate limits: windows, and the requests counted so far. Pure.

Theory of operation. A window of `number` in `seconds` lets a burst through at once, and the rest
evenly spread: one each `interval`, the window's length divided by what is left of the number. All
that has to be remembered is one moment, `until`: when everything that was let through will have
been paid for, one interval each (the generic cell rate algorithm). A request moves that moment by
an interval for each unit of its weight, and is let through if it then is no further ahead than a
burst takes. Of what was let through from one moment to another, at most a burst was paid for
ahead, and the rest took its time: so however a span of the window's length is laid, no more than
`number` went through in it.

       let through at once: the burst           then one each interval
    |==================================|------|------|------|------|------> time

Windows together let a request through, or none of them counts it. Times are integers, nanoseconds
of a clock that does not step back, so that nothing is ever rounded in anybody's favour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

from lbproto.errors import UsageError

__all__ = ["PUBLISHED_TIERS", "SECOND", "Bucket", "Refusal", "Tier", "Window"]

SECOND = 1_000_000_000
"""Nanoseconds."""

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


@dataclass(frozen=True, slots=True)
class Window:
    """At most `number` requests in any `seconds`, wherever these begin.

    A span of time begins with its first moment and ends before its last: what comes `seconds` after
    something else is not in the same one.

    Attributes:
        number: requests, or rather their weights.
        seconds: the length of the window.
        burst: how many of them may come at once, and so the greatest weight of a request. The
            others are let through one after the other, evenly spread over the window. By default
            (0) half of the number, and at least 1.
        interval: nanoseconds from one to the next, once the burst is used up.
        reach: nanoseconds that a burst takes to be paid for.

    Raises:
        UsageError: the number is not positive, or the window not at least a nanosecond; or the
            burst leaves nothing of the number that could come after it.
    """

    number: int
    seconds: float
    burst: int = 0
    interval: int = field(init=False, repr=False, compare=False)
    reach: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        length = round(self.seconds * SECOND)
        if self.number < 1 or length < 1:
            raise UsageError(f"a window needs number >= 1 and seconds > 0: {self}")
        burst = self.burst or max(self.number // 2, 1)
        if not 1 <= burst <= max(self.number - 1, 1):
            most = max(self.number - 1, 1)
            raise UsageError(f"the burst of {self} must be from 1 to {most}")
        interval = -(-length // max(self.number - burst, 1))  # rounded up
        object.__setattr__(self, "burst", burst)
        object.__setattr__(self, "interval", interval)
        object.__setattr__(self, "reach", interval * burst)


@dataclass(frozen=True, slots=True, init=False)
class Tier:
    """A user's limits: several windows at once; none for no limit.

    Args:
        windows: of different lengths.

    Attributes:
        windows: as given.
        rates: the interval and the reach of each.

    Raises:
        UsageError: two of them are of the same length.
    """

    windows: tuple[Window, ...]
    rates: tuple[tuple[int, int], ...] = field(repr=False, compare=False)

    def __init__(self, *windows: Window) -> None:
        lengths = [window.seconds for window in windows]
        if len(set(lengths)) < len(lengths):
            raise UsageError("two windows of a tier have the same length: leave the larger one out")
        object.__setattr__(self, "windows", windows)
        rates = tuple((window.interval, window.reach) for window in windows)
        object.__setattr__(self, "rates", rates)


PUBLISHED_TIERS = MappingProxyType(
    {
        "free": Tier(Window(60, _MINUTE), Window(1_000, _HOUR), Window(10_000, _DAY)),
        "pro": Tier(Window(300, _MINUTE), Window(10_000, _HOUR), Window(100_000, _DAY)),
        "unlimited": Tier(),
    }
)
"""The tiers of the published reference."""


class Refusal(NamedTuple):
    """Why a request is refused.

    Attributes:
        window: which one it is that takes longest.
        wait: nanoseconds after which the same request is let through, if no other is until then;
            None for never: it weighs more than the window's burst.
    """

    window: Window
    wait: int | None


class Bucket:
    """The requests admitted so far, counted against several windows.

    Args:
        tier: the windows.
    """

    __slots__ = ("_set_aside", "_until", "tier")

    def __init__(self, tier: Tier) -> None:
        self.tier = tier
        self._until = [0] * len(tier.windows)
        self._set_aside: dict[float, tuple[int, int]] | None = None

    def take(self, now: int, weight: int = 1) -> bool:
        """Count a request.

        Args:
            now: nanoseconds; never less than before.
            weight: at least 1.

        Returns:
            Whether it is let through; where not, no window has counted it, and `refusal` says why.
        """
        # Counted by hand and compared in place: enumerate() and max() would double the cost.
        untils, at = self._until, 0
        for interval, reach in self.tier.rates:
            until = untils[at]
            if until < now:
                until = now
            until += interval * weight
            if until - now > reach:
                self._give_back(at, weight)
                return False
            untils[at] = until
            at += 1  # noqa: SIM113
        return True

    def _give_back(self, count: int, weight: int) -> None:
        """Undo the last `take` by the first windows; what was over before is over since now."""
        untils = self._until
        for at, (interval, _) in enumerate(self.tier.rates[:count]):
            untils[at] -= interval * weight

    def give_back(self, weight: int = 1) -> None:
        """Undo the last `take`, which has let a request of this weight through."""
        self._give_back(len(self._until), weight)

    def adopt(self, ahead: Sequence[int], now: int) -> None:
        """Go on from what somebody else has counted: how far each window is ahead of now."""
        self._until = [now + each for each in ahead]

    def refusal(self, now: int, weight: int = 1) -> Refusal | None:
        """Why a request would be refused now; None if it would be admitted."""
        worst, longest = None, 0
        for until, window in zip(self._until, self.tier.windows, strict=True):
            if weight > window.burst:
                return Refusal(window, None)
            wait = max(until, now) + window.interval * weight - window.reach - now
            if wait > longest:
                worst, longest = window, wait
        return None if worst is None else Refusal(worst, longest)

    def full(self, now: int) -> bool:
        """Whether everything has been paid for: a new bucket would let the same through."""
        rest = (until for until, _ in (self._set_aside or {}).values())
        return max(self._until, default=0) <= now and max(rest, default=0) <= now

    def change(self, tier: Tier, now: int) -> None:
        """Go on with other windows: what was used of one is used of the one of the same length.

        What was used of a window that the new tier has none like is not forgotten, for the case
        that it comes back: whoever has two tiers at a time does not get a new allowance with each
        change.
        """
        used = self._set_aside or {}
        for until, window in zip(self._until, self.tier.windows, strict=True):
            used[window.seconds] = until, window.interval
        self.tier = tier
        self._until = [_carried(used, window, now) for window in tier.windows]
        self._set_aside = used or None


def _carried(used: dict[float, tuple[int, int]], window: Window, now: int) -> int:
    """As many intervals of a window as were still to be paid for; rounded up."""
    until, interval = used.pop(window.seconds, (now, 1))
    return now - (now - until) * window.interval // interval if until > now else now
