"""What an analysis says: a score, and the signals whose contributions it is the sum of."""

from __future__ import annotations

from typing import Literal, TypeAlias

from lbproto import Model

__all__ = [
    "MAX_EVIDENCE",
    "MAX_HOPS",
    "Analysis",
    "ClusterReport",
    "Direction",
    "Evidence",
    "Level",
    "Method",
    "Severity",
    "Signal",
    "Stage",
]

MAX_HOPS = 5
"""Payments between an address and what is said of it, at most."""

MAX_EVIDENCE = 5
"""Transactions that a signal shows, where each would do."""

Direction: TypeAlias = Literal["self", "incoming", "outgoing"]
Level: TypeAlias = Literal["unknown", "low", "medium", "high", "critical"]
Method: TypeAlias = Literal["haircut", "poison", "fifo"]
Severity: TypeAlias = Literal["info", "low", "medium", "high", "critical"]
Stage: TypeAlias = Literal["resolve", "expand", "cluster", "score"]


class Evidence(Model):
    """One fact that a signal rests on.

    Args:
        tx_hash: of a transaction that the address takes part in; None where the data have none, and
            the address's entry on a list is all there is.
        address: whom the fact is about.
        source: who says it: a list and its date, or what is seen in the chain.
    """

    tx_hash: str | None
    address: str
    source: str


class Signal(Model, kw_only=True):
    """One reason for the score.

    Args:
        code: the category of whom the address dealt with, or the pattern that it is part of.
        severity: of this signal alone; `info` counts nothing.
        direction: `self` (it is said of the address), `incoming` (where its money came from) or
            `outgoing` (where it went).
        hops: payments between the address and what the signal is about; 0 for `self`.
        amount_usd: what was paid, in US dollars of the day; left out where a price is not known.
        pct: share of all that the address received, or paid, 0 to 100.
        contribution: points of the score.
        evidence: at least one, the attributed address first.
    """

    code: str
    severity: Severity
    direction: Direction
    hops: int
    amount_usd: float | None = None
    pct: float
    contribution: int
    evidence: list[Evidence]


class ClusterReport(Model, kw_only=True):
    """Addresses that are likely one owner's.

    Args:
        cluster_id: the same for all of its addresses.
        size: how many addresses.
        heuristics: why they are taken for one owner's; none for an address by itself.
        confidence: 0 to 1.
        label: who that is said to be.
        category: what that is said to be.
    """

    cluster_id: str
    size: int
    heuristics: list[str]
    confidence: float
    label: str | None = None
    category: str | None = None


class Analysis(Model, kw_only=True):
    """All that there is to say about an address.

    Args:
        risk_score: 0 to 100, the sum of all contributions.
        risk_level: of that; `unknown` below 10, as finding nothing is not proof of innocence.
        clusters: the address's own first, then those of attributed addresses among the evidence,
            and of hubs.
        signals: what counts most first.
        truncated: a hub or a limit left something out.
        taint: how money was followed where it was mixed.
    """

    risk_score: int
    risk_level: Level
    clusters: list[ClusterReport]
    signals: list[Signal]
    truncated: bool
    taint: Method
