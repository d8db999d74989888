"""From findings to the score: integers that add up, so that every point of it has its reason."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from lbproto_compliance.analysis.report import Direction, Evidence, Level, Severity, Signal
from lbproto_compliance.analysis.weights import Weights

__all__ = ["HIGHEST", "MARKS", "Finding", "apportion", "risk_level", "score"]

HIGHEST = 100
"""Of all scores."""

MARKS = (10, 40, 70, 90)
"""From which score on an address is low, medium, high, critical."""

_LEVELS: tuple[Level, ...] = ("unknown", "low", "medium", "high", "critical")
_SEVERITIES: tuple[Severity, ...] = ("low", "low", "medium", "high", "critical")


class Finding(NamedTuple):
    """What is seen, not weighed yet.

    Attributes:
        code: see `Signal`.
        direction: see `Signal`.
        hops: see `Signal`.
        share: of all that the address received, or paid, 0 to 1.
        confidence: of who says so, 0 to 1.
        evidence: see `Signal`.
        amount_usd: see `Signal`.
        ownership: how sure it is that whom it is said of is the address's owner, 0 to 1.
        served: the address is one of an attributed service.
    """

    code: str
    direction: Direction
    hops: int
    share: Fraction
    confidence: Fraction
    evidence: list[Evidence]
    amount_usd: float | None = None
    ownership: Fraction = Fraction(1)
    served: bool = False


def risk_level(score: int) -> Level:
    """The level of a score. Below 10 the data give no ground to judge by."""
    return _LEVELS[bisect_right(MARKS, score)]


def score(findings: Sequence[Finding], weights: Weights) -> tuple[int, list[Signal]]:
    """Weigh what was found.

    Returns:
        The score, 0 to 100, and a signal for each finding, what counts most first. The signals'
        contributions add up to the score.
    """
    weighed = sorted(
        ((_weigh(finding, weights), finding) for finding in findings),
        key=lambda pair: (
            -pair[0],
            pair[1].code,
            pair[1].direction,
            pair[1].hops,
            pair[1].ownership,
        ),
    )
    points = [each for each, _ in weighed]
    total = min(HIGHEST, _rounded(sum(points, Fraction(0))))
    contributions = apportion(total, points)
    return total, [
        Signal(
            code=finding.code,
            severity=_severity(each),
            direction=finding.direction,
            hops=finding.hops,
            amount_usd=finding.amount_usd,
            pct=round(float(finding.share * 100), 2),
            contribution=contribution,
            evidence=finding.evidence,
        )
        for (each, finding), contribution in zip(weighed, contributions, strict=True)
    ]


def apportion(total: int, shares: Sequence[Fraction]) -> list[int]:
    """Divide a total into integers in proportion to shares, by the largest remainder.

    Of equal remainders the first gets more.

    Returns:
        One for each share. They add up to the total, unless all shares are 0.
    """
    whole = sum(shares, Fraction(0))
    if not whole:
        return [0] * len(shares)
    quotas = [share * total / whole for share in shares]
    parts = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda k: parts[k] - quotas[k])
    for k in by_remainder[: total - sum(parts)]:
        parts[k] += 1
    return parts


def _weigh(finding: Finding, weights: Weights) -> Fraction:
    return weights.weigh(
        finding.code,
        finding.direction,
        finding.hops,
        finding.share,
        finding.confidence,
        ownership=finding.ownership,
        served=finding.served,
    )


def _rounded(points: Fraction) -> int:
    return int(points + Fraction(1, 2))


def _severity(points: Fraction) -> Severity:
    return _SEVERITIES[bisect_right(MARKS, _rounded(points))] if points else "info"
