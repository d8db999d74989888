"""How findings become a score that adds up."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproto_compliance.analysis.report import Direction, Evidence
from lbproto_compliance.analysis.score import Finding, apportion, risk_level, score
from lbproto_compliance.analysis.weights import DEFAULT_WEIGHTS, Weights

EVIDENCE = [Evidence("tx", "address", "a list")]
CODES = sorted(DEFAULT_WEIGHTS.points)


def _finding(
    code: str = "sanctioned",
    direction: Direction = "incoming",
    hops: int = 1,
    share: Fraction = Fraction(1),
    confidence: Fraction = Fraction(1),
    *,
    ownership: Fraction = Fraction(1),
    served: bool = False,
) -> Finding:
    return Finding(
        code, direction, hops, share, confidence, EVIDENCE, ownership=ownership, served=served
    )


@pytest.mark.parametrize(
    ("points", "level"),
    [
        (0, "unknown"),
        (9, "unknown"),
        (10, "low"),
        (39, "low"),
        (40, "medium"),
        (69, "medium"),
        (70, "high"),
        (89, "high"),
        (90, "critical"),
        (100, "critical"),
    ],
)
def test_levels_begin_at_their_marks(points: int, level: str) -> None:
    assert risk_level(points) == level


def test_nothing_found_is_a_score_of_nothing() -> None:
    assert score([], DEFAULT_WEIGHTS) == (0, [])


def test_an_address_on_a_sanctions_list_is_critical_however_sure_the_list_is() -> None:
    total, (signal,) = score(
        [_finding(direction="self", hops=0, confidence=Fraction(1, 2))], DEFAULT_WEIGHTS
    )
    assert (total, signal.contribution, signal.severity) == (100, 100, "critical")


@pytest.mark.parametrize(("hops", "points"), [(1, 80), (2, 40), (3, 20), (4, 10), (5, 5), (6, 0)])
def test_what_is_further_away_counts_less(hops: int, points: int) -> None:
    assert score([_finding(hops=hops)], DEFAULT_WEIGHTS)[0] == points


@pytest.mark.parametrize(
    ("share", "points"),
    [
        (Fraction(1, 2), 80),
        (Fraction(499, 1000), 60),
        (Fraction(1, 10), 60),
        (Fraction(1, 100), 40),
        (Fraction(1, 1000), 20),
        (Fraction(1, 10_000), 8),
        (Fraction(1, 10_001), 0),
    ],
)
def test_a_smaller_share_counts_less(share: Fraction, points: int) -> None:
    total, (signal,) = score([_finding(share=share)], DEFAULT_WEIGHTS)
    assert total == points
    assert signal.pct == round(float(share * 100), 2)


def test_what_is_less_sure_counts_less() -> None:
    assert score([_finding("scam", confidence=Fraction(1, 2))], DEFAULT_WEIGHTS)[0] == 28


def test_what_is_said_of_the_cluster_counts_as_much_as_that_is_sure() -> None:
    found = _finding(direction="self", hops=0, ownership=Fraction(9, 10))
    assert score([found], DEFAULT_WEIGHTS)[0] == 90


def test_what_customers_bring_does_not_accuse_a_service() -> None:
    total, (signal,) = score([_finding("stolen_funds", served=True)], DEFAULT_WEIGHTS)
    assert (total, signal.severity, signal.pct) == (0, "info", 100.0)
    assert score([_finding("stolen_funds", "outgoing", served=True)], DEFAULT_WEIGHTS)[0] == 68


def test_what_is_more_than_a_hundred_is_cut_in_proportion() -> None:
    found = [_finding(), _finding("mixer"), _finding("scam", "outgoing", 2)]
    total, signals = score(found, DEFAULT_WEIGHTS)
    assert total == 100  # of 80 + 48 + 28 = 156
    assert [(signal.code, signal.contribution) for signal in signals] == [
        ("sanctioned", 51),
        ("mixer", 31),
        ("scam", 18),
    ]


def test_a_host_may_weigh_otherwise() -> None:
    weights = Weights(points={"gambling": 100}, hops=(100, 50))
    total, signals = score([_finding("gambling"), _finding("sanctioned")], weights)
    assert total == 50
    assert [signal.contribution for signal in signals] == [50, 0]


@pytest.mark.parametrize(
    "weights",
    [
        {"points": {"scam": 101}},
        {"hops": (100, -1)},
        {"served": 200},
        {"shares": ((Fraction(1), 50), (Fraction(10), 100))},
    ],
)
def test_a_table_that_makes_no_sense_is_refused(weights: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"a weight is from|the steps of shares"):
        Weights(**weights)  # type: ignore[arg-type]


def test_the_tables_of_the_guide_are_those_in_use() -> None:
    guide = (Path(__file__).parents[4] / "docs/how-to/compliance.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(\w+)` \| (\d+) \|", guide, re.MULTILINE)
    assert {code: int(points) for code, points in told} == DEFAULT_WEIGHTS.points
    hops, shares = (
        tuple(int(percent) for percent in re.findall(r"(\d+) %", row))
        for row in re.findall(r"^\| counts (.*)$", guide, re.MULTILINE)
    )
    assert hops == DEFAULT_WEIGHTS.hops
    assert shares == tuple(percent for _, percent in DEFAULT_WEIGHTS.shares)


_shares = st.fractions(min_value=0, max_value=1, max_denominator=10_000)
_findings = st.builds(
    _finding,
    st.sampled_from(CODES),
    st.sampled_from(["self", "incoming", "outgoing"]),
    st.integers(0, 6),
    _shares,
    _shares,
    ownership=_shares,
    served=st.booleans(),
)


@settings(max_examples=40)
@given(st.lists(_findings, max_size=12))
def test_contributions_add_up_to_the_score(findings: list[Finding]) -> None:
    total, signals = score(findings, DEFAULT_WEIGHTS)
    assert 0 <= total <= 100
    assert sum(signal.contribution for signal in signals) == total
    assert len(signals) == len(findings)
    assert all(signal.contribution >= 0 for signal in signals)
    assert score(findings, DEFAULT_WEIGHTS) == (total, signals)


@given(st.integers(0, 100), st.lists(_shares, max_size=10))
def test_no_part_is_a_whole_point_off_its_quota(total: int, shares: list[Fraction]) -> None:
    parts = apportion(total, shares)
    whole = sum(shares)
    if whole:
        assert sum(parts) == total
        assert all(
            abs(part - share * total / whole) < 1 for part, share in zip(parts, shares, strict=True)
        )
    else:
        assert not any(parts)
