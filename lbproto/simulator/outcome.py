"""What came of a plan, and how it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lbproto.simulator.plan import Plan, draw
from lbproto.simulator.scenario import Scenario
from lbproto.simulator.story import Broken, Line
from lbproto.simulator.world import live

__all__ = ["Outcome", "replay", "simulate"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a plan.

    Attributes:
        plan: what was to happen.
        lines: what happened, in order.
        broken: the promises that were not kept, in order.
        digest: tells this story from all others: the same seed has the same on every machine.
        seconds: of virtual time.
    """

    plan: Plan
    lines: Sequence[Line]
    broken: Sequence[Broken]
    digest: str
    seconds: float

    @property
    def steps(self) -> int:
        """How many steps there were."""
        return len(self.plan.steps)

    def story(self) -> str:
        """What happened until the first promise was broken, a line each, and which that was."""
        first = self.broken[0] if self.broken else None
        told: list[str] = []
        for line in self.lines:
            told.append(str(line))
            if first is not None and line.at == first.at and line.what.startswith("!!"):
                break
        if first is not None:
            told += ["", str(first)]
        return "\n".join(told)


def replay(plan: Plan, scenario: Scenario | None = None) -> Outcome:
    """Have a plan happen.

    Args:
        scenario: what is served and asked for; by default the yard alone.
    """
    world = live(plan, scenario or Scenario())
    story = world.story
    return Outcome(plan, story.lines, story.broken, story.digest, world.loop.time())


def simulate(seed: int, scenario: Scenario | None = None) -> Outcome:
    """Have happen what a seed decides.

    Args:
        scenario: as for `replay`.
    """
    return replay(draw(seed), scenario)
