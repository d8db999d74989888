"""Faults that are planted are found, soon, and shrunk to what they need.

Run it with `-s` for the table.
"""

from __future__ import annotations

import pytest

from lbproto.simulator import many, shrink, simulate
from tests.simulator.planted import PLANTED

_SEEDS = 60
_STEPS = 12

_PROMISES = {
    "lost wake-up": {"gap", "answer"},
    "double settle": {"ledger"},
    "reorder on resume": {"gap", "order", "twice"},
    "ghost member": {"presence"},
    "skipped offset": {"gap"},
    "late terminal event": {"job"},
}


@pytest.mark.parametrize("name", PLANTED)
def test_it_is_found_and_shrunk(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for where, method, faulty in PLANTED[name]:
        monkeypatch.setattr(where, method, faulty)
    found = next((seed for seed in many(range(_SEEDS)) if seed.broken is not None), None)
    assert found is not None, f"not within {_SEEDS} seeds"
    assert found.broken is not None
    assert found.broken.promise in _PROMISES[name]
    outcome = shrink(simulate(found.number))
    assert outcome.broken[0].promise == found.broken.promise
    assert outcome.steps <= _STEPS
    assert str(outcome.broken[0]) in outcome.story()
    steps = f"{outcome.steps:>2} of {found.steps} steps"
    print(f"{name:<20} seed {found.number:>3}  {steps:<17} {found.broken.promise}")
