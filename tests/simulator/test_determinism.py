"""The same seed is the same story: in every process, whatever its hash seed is and came before."""

from __future__ import annotations

import os
import subprocess
import sys

from lbproto.simulator import draw, replay, simulate

_SEEDS = (0, 5, 14)
_PROGRAM = f"""
from lbproto.simulator import simulate
for seed in {_SEEDS}:
    print(simulate(seed).digest)
"""


def _digests(hash_seed: str) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, check=True
    )
    return done.stdout.decode().split()


def test_two_processes_tell_the_same_stories() -> None:
    assert _digests("1") == _digests("77") == [simulate(seed).digest for seed in _SEEDS]


def test_two_seeds_tell_two_stories() -> None:
    assert simulate(1).digest != simulate(2).digest


def test_a_plan_without_some_steps_is_a_plan() -> None:
    plan = draw(7)
    some = plan.only([step.number for step in plan.steps[::2]])
    assert replay(some).digest == replay(some).digest
    alone = plan.without_guest(plan.guests[0].number)
    assert not any(step.is_of_guest and step.who == 0 for step in alone.steps)
    assert len(replay(alone).plan.guests) == len(plan.guests) - 1
    assert replay(plan.only([])).broken == []
