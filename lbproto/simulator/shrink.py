"""From a plan that breaks a promise to the smallest one that is found to break it, too."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lbproto.simulator.outcome import Outcome, replay
from lbproto.simulator.plan import Plan
from lbproto.simulator.scenario import Scenario

__all__ = ["shrink"]

_MAX_RUNS = 400


def shrink(
    outcome: Outcome,
    scenario: Scenario | None = None,
    tell: Callable[[int, int], None] = lambda _steps, _runs: None,
) -> Outcome:
    """Leave out of a plan what it does not need to break its first promise.

    First guests, with all they do; then steps, by delta debugging: in halves, in quarters, and so
    on, until no single one can be left out.

    Args:
        outcome: of a plan that breaks a promise.
        scenario: as it was run with.
        tell: called whenever something was left out, with how many steps there are still, and how
            many plans have been tried.
    """
    return _Shrinking(outcome, scenario, tell).run()


class _Shrinking:
    def __init__(
        self, outcome: Outcome, scenario: Scenario | None, tell: Callable[[int, int], None]
    ) -> None:
        self._best = outcome
        self._promise = outcome.broken[0].promise
        self._scenario = scenario
        self._tell = tell
        self._runs = 0

    def run(self) -> Outcome:
        self._leave_out_guests()
        self._leave_out_steps()
        self._leave_out_guests()
        return self._best

    def _breaks(self, plan: Plan) -> bool:
        """Whether a plan breaks the promise, too; then it is the best."""
        if self._runs >= _MAX_RUNS:
            return False
        self._runs += 1
        outcome = replay(plan, self._scenario)
        if not outcome.broken or outcome.broken[0].promise != self._promise:
            return False
        self._best = outcome
        self._tell(outcome.steps, self._runs)
        return True

    def _leave_out_guests(self) -> None:
        for guest in list(self._best.plan.guests):
            if len(self._best.plan.guests) > 1:
                self._breaks(self._best.plan.without_guest(guest.number))

    def _leave_out_steps(self) -> None:
        parts = 2
        while (steps := [step.number for step in self._best.plan.steps]) and parts <= len(steps):
            if any(self._breaks(self._best.plan.only(rest)) for rest in _rests(steps, parts)):
                parts = max(2, parts - 1)
            elif parts == len(steps):
                return
            else:
                parts = min(2 * parts, len(steps))


def _rests(steps: Sequence[int], parts: int) -> list[list[int]]:
    """What is left when one of so many parts is left out, for each; the later ones first."""
    cuts = [len(steps) * part // parts for part in range(parts + 1)]
    return [[*steps[: cuts[part]], *steps[cuts[part + 1] :]] for part in reversed(range(parts))]
