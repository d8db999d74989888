"""Faults that are planted are found, soon, and shrunk to what they need.

Run it with `-s` for the table.
"""

from __future__ import annotations

import pytest

from lbproto.events import ErrorEvent, Event
from lbproto.jobs.records import LostJob, Records, restarted
from lbproto.messages import AnswersLost
from lbproto.sessions.handover import Handover
from lbproto.sessions.session import Session
from lbproto.simulator import many, shrink, simulate
from tests.simulator.planted import PLANTED

_SEEDS = 60
_STEPS = 12
_LOST = f"message={restarted().message!r}"

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


def test_that_a_node_tells_twice_of_a_lost_job_is_found_wherever_it_tells(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Several nodes may, each once: a job's own may have told its end, and be taken for dead."""
    ends = Records.ends

    def twice(self: Records, job: LostJob) -> tuple[list[Event], ErrorEvent]:
        before, failure = ends(self, job)
        return [*before, failure], failure

    monkeypatch.setattr(Records, "ends", twice)
    outcomes = [simulate(seed) for seed in range(20)]
    met = [any(_LOST in str(line) for line in outcome.lines) for outcome in outcomes]
    assert sum(met) > 1
    assert [bool(outcome.broken) for outcome in outcomes] == met


def test_that_answers_are_said_to_be_lost_without_need_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It excuses whatever is missing: who says it to everybody would seem to lose nothing."""
    finish = Handover._finish

    async def always(self: Handover, session: Session) -> None:
        await finish(self, session)
        self._hub.send(session, AnswersLost())

    monkeypatch.setattr(Handover, "_finish", always)
    found = next(seed.broken for seed in many(range(_SEEDS)) if seed.broken is not None)
    assert found.promise == "answer"
