"""Worlds in which all is as promised; `lbproto simulate --seeds 0-9999` tries many more."""

from __future__ import annotations

import pytest

from lbproto.simulator import draw, many, shrink, simulate

_SEEDS = 90


@pytest.mark.parametrize("part", range(3))
def test_promises_are_kept(part: int) -> None:
    for seed in many(range(part, _SEEDS, 3)):
        assert seed.broken is None, shrink(simulate(seed.number)).story()


def test_faults_are_met() -> None:
    """A simulator that lets nothing go wrong would keep all promises, too."""
    told = "\n".join(str(line) for seed in range(20) for line in simulate(seed).lines)
    for kind in (
        "loses its connection",
        "reads nothing",
        "is killed",
        "is stopped",
        "is drained",
        "is cut off from the broker",
        "is refused by the stores",
        "broker   ** is away for",
        "broker   ** is away and forgets all",
        "SessionLost()",
        "AnswersLost()",
        "Recovered(missed=0)",
        "Recovered(missed=1",
        "OVERLOADED",
        "CANCELLED",
        "CreditsInsufficient(",
        "too slow: reconnect and resume",
    ):
        assert kind in told, kind


def test_nodes_with_small_logs_are_met() -> None:
    small = [seed for seed in range(200) if draw(seed).max_events < 100]
    assert 30 < len(small) < 70
