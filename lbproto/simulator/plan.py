"""What is to happen in a world, and when: drawn from a seed, and as small as what it shows needs.

A plan is data. Each of its steps is whole by itself (a partition has its end, a client that is lost
comes back), so that any of them can be left out.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from typing import get_args

from lbproto.simulator.chance import stream
from lbproto.testing import Wire

__all__ = ["DEATHS", "LINKS", "GuestPlan", "Kind", "Plan", "Step", "draw"]

_WIRES: tuple[Wire, ...] = get_args(Wire)
_NODES = (1, 2, 2, 3, 3)
_MAX_KEPT = (0, 0, 60, 10_000, 10_000)
_MAX_EVENTS = (8, 30, *(100_000,) * 6)
_GUESTS = (2, 6)
_ASKS = (6, 22)
_FAULTS = (0, 9)
_FORGETS = 0.15  # of the worlds
_APART = 2.0  # seconds before that in which a node may be cut off: it misses what is forgotten
_AMID = 0.3  # of the connections that are lost: just behind something that was asked for
_BEHIND = 0.05  # seconds
_CROWDED, _IN_CROWD = 3, 0.2  # moments at which many ask at once, and how much of all that is
_AT_ONCE = 0.01  # seconds
_BEGINS, _ENDS = 1.0, 13.0  # seconds of virtual time in which things happen


class Kind(StrEnum):
    """What a step is: a guest's doing, or a fault."""

    ASK = "asks"
    DROP = "loses its connection"
    HOLD = "reads nothing"
    GO = "goes for good"
    KILL = "is killed"
    STOP = "is stopped"
    DRAIN = "is drained"
    CUT = "is cut off from the broker"
    REFUSE = "is refused by the stores"
    STEP = "has its wall clock set"
    BROKER = "is away"
    FORGET = "is away and forgets all"


DEATHS = (Kind.KILL, Kind.DRAIN)
"""After these a node is there no more."""

LINKS = (Kind.CUT, Kind.BROKER, Kind.FORGET, Kind.STOP)
"""Meanwhile a node does not hear the others, nor they it."""

_OF_GUESTS = (Kind.ASK, Kind.DROP, Kind.HOLD, Kind.GO)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan.

    Attributes:
        number: its place in the plan as it was drawn.
        at: seconds of virtual time.
        kind: what happens.
        who: the number of the guest, or of the node.
        seconds: how long it lasts.
        other: of what a guest asks, which; of one that is lost, the node that it comes back to; of
            one that goes, whether it says so; of a clock that is set, by how many seconds.
        noticed: of one that is lost: after which part of that time its node notices; more than 1 is
            after it has come back.
    """

    number: int
    at: float
    kind: Kind
    who: int
    seconds: float = 0.0
    other: int = 0
    noticed: float = 0.0

    @property
    def is_of_guest(self) -> bool:
        """Whether a guest does it, and no node suffers it."""
        return self.kind in _OF_GUESTS


@dataclass(frozen=True, slots=True)
class GuestPlan:
    """One client.

    Attributes:
        number: its place among the guests.
        user: who it is.
        wire: what it speaks.
        direct: whether its node may write to it without waiting.
        node: where it connects at first.
        at: when, in seconds of virtual time.
    """

    number: int
    user: str
    wire: Wire
    direct: bool
    node: int
    at: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens in one world.

    Attributes:
        seed: what all else is drawn from.
        nodes: how many there are.
        max_kept: how many messages the broker's log has at most; 0 of one without a log.
        max_events: how many events each node's log has at most.
        guests: its clients.
        steps: what happens, in order.
        drawn: how many steps there were at first.
    """

    seed: int
    nodes: int
    max_kept: int
    max_events: int
    guests: Sequence[GuestPlan]
    steps: Sequence[Step]
    drawn: int

    def only(self, numbers: Collection[int]) -> Plan:
        """The plan with these steps alone, and the guests that have one, or none at all."""
        kept = set(numbers)
        return replace(self, steps=[step for step in self.steps if step.number in kept])

    def without_guest(self, number: int) -> Plan:
        """The plan without a guest, and what it does."""
        return replace(
            self,
            guests=[guest for guest in self.guests if guest.number != number],
            steps=[step for step in self.steps if not (step.is_of_guest and step.who == number)],
        )

    @property
    def ends(self) -> float:
        """When the last step is over."""
        return max((step.at + step.seconds for step in self.steps), default=_BEGINS)


_FAULTY = {
    Kind.DROP: 8,
    Kind.HOLD: 3,
    Kind.GO: 2,
    Kind.KILL: 2,
    Kind.STOP: 2,
    Kind.DRAIN: 1,
    Kind.CUT: 3,
    Kind.REFUSE: 4,
    Kind.STEP: 1,
    Kind.BROKER: 1,
}
"""How often, by comparison."""


def draw(seed: int) -> Plan:
    """Draw the plan of a seed."""
    random = stream(seed, "plan")
    nodes = random.choice(_NODES)
    max_kept = random.choice(_MAX_KEPT)
    guests = [_guest(random, number, nodes) for number in range(random.randint(*_GUESTS))]
    steps: list[Step] = []
    crowded = [random.uniform(_BEGINS + 2, _ENDS) for _ in range(_CROWDED)]
    for guest in guests:
        times = sorted(_time(random, guest, crowded) for _ in range(random.randint(*_ASKS)))
        steps += [Step(0, at, Kind.ASK, guest.number, 0.0, which) for which, at in enumerate(times)]
    for _ in range(random.randint(*_FAULTS)):
        kind = random.choices(list(_FAULTY), list(_FAULTY.values()))[0]
        steps.append(_fault(random, kind, nodes, len(guests)))
    rare = stream(seed, "rare")
    if rare.random() < _FORGETS:
        forgets = _fault(rare, Kind.FORGET, nodes, len(guests))
        cut = _fault(rare, Kind.CUT, nodes, len(guests))
        steps += forgets, replace(cut, at=forgets.at - _APART * rare.random())
    steps = [_amid(rare, step, steps) if step.kind is Kind.DROP else step for step in steps]
    steps.sort(key=lambda step: step.at)
    steps = [replace(step, number=number) for number, step in enumerate(steps)]
    max_events = stream(seed, "logs").choice(_MAX_EVENTS)
    return Plan(seed, nodes, max_kept, max_events, guests, steps, len(steps))


def _time(random: Random, guest: GuestPlan, crowded: Sequence[float]) -> float:
    """When a guest asks for something: now and then when all others do."""
    if random.random() < _IN_CROWD:
        return random.choice(crowded) + _AT_ONCE * random.random()
    return random.uniform(guest.at, _ENDS)


def _guest(random: Random, number: int, nodes: int) -> GuestPlan:
    user = random.choice(("ada", "bob", "cyd", "dan", "eve", "fay")[: number + 1])
    return GuestPlan(
        number,
        user,
        random.choice(_WIRES),
        random.random() < 0.7,
        random.randrange(nodes),
        _BEGINS + 2 * random.random(),
    )


def _fault(random: Random, kind: Kind, nodes: int, guests: int) -> Step:
    at = random.uniform(_BEGINS + 1, _ENDS)
    node, guest = random.randrange(nodes), random.randrange(guests)
    if kind is Kind.DROP:
        noticed = random.choice((0.0, 0.5, 1.5))
        seconds = _seconds(random, 0.05, 6.0)
        return Step(0, at, kind, guest, seconds, random.randrange(nodes), noticed)
    if kind is Kind.GO:
        return Step(0, at, kind, guest, 0.0, random.randrange(2))
    if kind is Kind.HOLD:
        return Step(0, at, kind, guest, _seconds(random, 0.5, 6.0))
    if kind is Kind.STEP:
        return Step(0, at, kind, node, 0.0, random.randint(-20, 20))
    longest = 12.0 if kind in (Kind.STOP, Kind.CUT) else 5.0
    return Step(0, at, kind, node, _seconds(random, 0.2, longest))


def _amid(random: Random, step: Step, steps: Sequence[Step]) -> Step:
    """A lost connection, now and then with something under way: soon after that was asked for."""
    asked = [each.at for each in steps if each.kind is Kind.ASK and each.who == step.who]
    if random.random() >= _AMID:
        return step
    return replace(step, at=random.choice(asked) + _BEHIND * random.random())


def _seconds(random: Random, least: float, most: float) -> float:
    """More often short than long."""
    return least + (most - least) * random.random() ** 2
