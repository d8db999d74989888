"""What a signal weighs. The table is all of it: a host that judges otherwise gives its own."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import msgspec

from lbproto_compliance.analysis.report import Direction

__all__ = ["DEFAULT_WEIGHTS", "Weights"]

_SURE = Fraction(1)

# Of whom an address dealt with, then of what it is part of. Categories that are not here weigh
# nothing: there is no harm in dealing with an exchange, nor in having been sent dust.
_POINTS = {
    "sanctioned": 100,
    "ransomware": 90,
    "stolen_funds": 85,
    "darknet_market": 80,
    "scam": 70,
    "mixer": 60,
    "gambling": 15,
    "mixing": 40,
    "coinjoin": 20,
    "peel_chain": 20,
    "possible_service": 0,
    "dusting": 0,
}


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """What a signal adds to the score: points × hops × share × confidence.

    Args:
        points: by code, 0 to 100. A category without points is harmless: no signal tells of it.
        hops: how much counts, in percent, at a distance of 0, 1, 2, ... payments; of those further
            away nothing does.
        shares: steps `(from, percent)`, the highest first: from which share on, in percent of
            all that the address received or paid, how much counts. Below the last, nothing does.
        served: how much counts, in percent, of what an attributed service received: it cannot
            choose who pays it, and its customers' money is not its own.
        certain: codes that confidence does not lessen. An address is on a sanctions list or it
            is not.

    Raises:
        ValueError: a number is out of its range, or the steps are not in order.
    """

    points: dict[str, int] = msgspec.field(default_factory=lambda: dict(_POINTS))
    hops: tuple[int, ...] = (100, 80, 40, 20, 10, 5)
    shares: tuple[tuple[Fraction, int], ...] = (
        (Fraction(50), 100),
        (Fraction(10), 75),
        (Fraction(1), 50),
        (Fraction(1, 10), 25),
        (Fraction(1, 100), 10),
    )
    served: int = 0
    certain: frozenset[str] = frozenset({"sanctioned"})

    def __post_init__(self) -> None:
        percents = (*self.hops, *(percent for _, percent in self.shares))
        for number in (*self.points.values(), *percents, self.served):
            if not 0 <= number <= 100:
                raise ValueError(f"a weight is from 0 to 100, not {number}")
        if any(step <= following for (step, _), (following, _) in pairwise(self.shares)):
            raise ValueError("the steps of shares go from the highest to the lowest")

    def harmful(self, category: str) -> bool:
        """Whether having dealt with such is a signal at all."""
        return self.points.get(category, 0) > 0

    def weigh(
        self,
        code: str,
        direction: Direction,
        hops: int,
        share: Fraction,
        confidence: Fraction,
        *,
        ownership: Fraction = _SURE,
        served: bool = False,
    ) -> Fraction:
        """The points of a signal, exactly, before those of all are cut to 100.

        Args:
            code: of the signal.
            direction: of the signal.
            hops: payments in between.
            share: 0 to 1.
            confidence: 0 to 1.
            ownership: how sure it is that whom it is said of is the address's owner, 0 to 1.
            served: the address is one of an attributed service.
        """
        left = self.hops[hops] if hops < len(self.hops) else 0
        points = Fraction(self.points.get(code, 0) * left * self._of_share(share), 100 * 100)
        if code not in self.certain:
            points *= confidence
        points *= ownership
        if served and direction == "incoming":
            points = points * self.served / 100
        return points

    def _of_share(self, share: Fraction) -> int:
        return next((percent for step, percent in self.shares if share * 100 >= step), 0)


DEFAULT_WEIGHTS = Weights()
"""The table as it is documented."""
