"""A world: nodes, clients and the network between them, from the beginning of a plan to its end."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from lbproto.errors import Overloaded
from lbproto.messages import Ping, Subscribe
from lbproto.registry import Registry
from lbproto.simulator.broker import Broker, SimulatedPubSub
from lbproto.simulator.chance import bits_from, stream
from lbproto.simulator.checks import standard_checks
from lbproto.simulator.checks.base import Checks
from lbproto.simulator.clock import NodeClock
from lbproto.simulator.guest import Guest
from lbproto.simulator.logged import LoggedPubSub, LoggingBroker
from lbproto.simulator.loop import Process, VirtualLoop, current_process, run_virtually
from lbproto.simulator.node import Node
from lbproto.simulator.plan import DEATHS, Kind, Plan, Step
from lbproto.simulator.scenario import Ask, Scenario
from lbproto.simulator.stores import Shared
from lbproto.simulator.story import Story
from lbproto.simulator.yard import ROOMS, Planned, Post, Truth, yard

__all__ = ["Trouble", "World", "live"]

_SETTLES = 26.0  # seconds: longer than any bound that is promised when all is well
_LONGER = 70.0  # seconds that a reservation of a dead node may live
_LOOKS = 2.0  # seconds between two looks at that
_ANSWERED = 3.0  # seconds in which all that is asked for then has been answered
_MAX_ASKS = 64
_ADDRESS = re.compile(" at 0x[0-9a-f]+")  # it differs from run to run
_RESTART = 0.2  # seconds until it is seen again whether a node that is drained has stopped


@dataclass(slots=True)
class Trouble:
    """A fault that a node has had, or (None) all of them: since when, and until when."""

    kind: Kind
    node: str | None
    since: float
    until: float


class World:
    """What a plan happens in.

    Args:
        loop: whose time it has.
        plan: what happens.
        scenario: what is served, and asked for.

    Attributes:
        story: what has happened.
        truth: what the nodes have really done.
        broker, shared: what outlives every node.
        registry: what nodes declare.
        nodes: those that there are, by their numbers.
        guests: the clients.
        troubles: the faults that there were.
        checks: who looks.
        is_over: whether it has ended, and only unwinds.
    """

    def __init__(self, loop: VirtualLoop, plan: Plan, scenario: Scenario) -> None:
        self.loop = loop
        self.plan = plan
        self.story = Story(loop.time)
        self.truth = Truth(loop.time)
        self.broker: Broker | LoggingBroker
        if plan.max_kept:
            self.broker = LoggingBroker(loop, plan.seed, plan.max_kept)
        else:
            self.broker = Broker(loop, plan.seed)
        self.shared = Shared(NodeClock(loop))
        self.troubles: list[Trouble] = []
        self.is_over = False
        self._scenario = scenario
        self._lives = [0] * plan.nodes
        self._born: list[Node] = []
        self.nodes = [self._make_node(number) for number in range(plan.nodes)]
        self.registry: Registry = self.nodes[0].server.registry
        self.guests = {
            guest.number: Guest(self, guest, self._asks(guest.number)) for guest in plan.guests
        }
        self.checks = Checks(self, [*standard_checks(), *scenario.checks()])

    def _make_node(self, number: int) -> Node:
        self._lives[number] += 1
        node = Node(self, number, self._lives[number], self._plugins)
        self._born.append(node)
        return node

    def _plugins(self, node: str) -> list[Any]:
        return [yard(node, self.truth, self._users), *self._scenario.plugins()]

    def _users(self) -> list[str]:
        return sorted({guest.user for guest in self.plan.guests})

    def _asks(self, guest: int) -> Sequence[Ask]:
        asks = self._scenario.asks(guest, stream(self.plan.seed, "visit", guest))
        return list(islice(asks, _MAX_ASKS))

    async def run(self) -> None:
        """Live from beginning to end."""
        self.checks.begin()
        for node in self.nodes:
            node.start()
        for guest in self.plan.guests:
            self.loop.call_at(guest.at, self.guests[guest.number].come)
        for step in self.plan.steps:
            self.loop.call_at(step.at, self._take, step)
        await asyncio.sleep(self.plan.ends)
        self._heal()
        await asyncio.sleep(_SETTLES)
        until = self.loop.time() + _LONGER
        while self.shared.has_reservations and self.loop.time() < until:  # noqa: ASYNC110 - virtual
            await asyncio.sleep(_LOOKS)
        self.checks.settled()
        self._ask_last()
        await asyncio.sleep(_ANSWERED)
        self.checks.finish()

    def plug_in(self, node: str, process: Process) -> SimulatedPubSub | LoggedPubSub:
        """A node's way to the others."""
        if isinstance(self.broker, LoggingBroker):
            return LoggedPubSub(self.broker, node, process)
        return SimulatedPubSub(self.broker, node, process)

    def bury(self) -> None:
        """It is over: let everything unwind, unheard."""
        self.is_over = True
        for node in self._born:
            node.kill()
            node.process.bury()

    def failed(self, who: str, error: BaseException | str) -> None:
        """Something has failed that never may."""
        if self.is_over:
            return
        told = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        told = _ADDRESS.sub("", told)
        self.story.break_("failure", who, "nothing to fail inside", told)

    def find_node(self, number: int) -> Node | None:
        """The node of that number, if it takes connections."""
        node = self.nodes[number]
        return node if node.is_up else None

    def had_trouble(
        self, since: float, until: float, *nodes: str, kinds: Sequence[Kind] = ()
    ) -> bool:
        """Whether one of these nodes, or all of them, had trouble at some time in between.

        Args:
            nodes: by name; any of them by default.
            kinds: only these; all by default.
        """
        return any(
            trouble.since <= until
            and trouble.until >= since
            and (trouble.node is None or not nodes or trouble.node in nodes)
            and (not kinds or trouble.kind in kinds)
            for trouble in self.troubles
        )

    # Steps

    def _take(self, step: Step) -> None:
        if step.is_of_guest:
            self._guest_does(step, self.guests[step.who])
        elif step.kind in (Kind.BROKER, Kind.FORGET):
            self._note(step, None)
            self.broker.stop()
            self.loop.call_later(step.seconds, self._bring_back, step.kind is Kind.FORGET)
        else:
            self._node_suffers(step, self.nodes[step.who])

    def _bring_back(self, is_new: bool) -> None:
        """The broker is there again; where it is new, without what it had, records included."""
        if is_new and isinstance(self.broker, LoggingBroker):
            self.broker.forget()
            self.shared.forget()
        self.broker.start()

    def _note(self, step: Step, node: Node | None) -> None:
        now = self.loop.time()
        name = None if node is None else node.name
        self.troubles.append(Trouble(step.kind, name, now, now + step.seconds))
        lasts = f" for {step.seconds:.2f} s" if step.seconds else ""
        self.story.tell(name or "broker", f"** {step.kind}{lasts}")

    def _guest_does(self, step: Step, guest: Guest) -> None:
        if step.kind is Kind.ASK:
            guest.ask(step.other)
        elif step.kind is Kind.DROP:
            self.story.tell(guest.name, f"** {step.kind} for {step.seconds:.2f} s")
            guest.lose(step.seconds * step.noticed, step.other)
            self.loop.call_later(step.seconds, guest.come)
        elif step.kind is Kind.GO:
            self.story.tell(guest.name, f"** {step.kind}")
            guest.go(says_so=bool(step.other))
        else:
            self.story.tell(guest.name, f"** {step.kind} for {step.seconds:.2f} s")
            guest.hold()
            self.loop.call_later(step.seconds, guest.release)

    def _node_suffers(self, step: Step, node: Node) -> None:
        if node.is_over:
            return
        self._note(step, node)
        later = self.loop.call_later
        if step.kind is Kind.KILL:
            node.kill()
            self._sever(node)
            later(step.seconds, self._restart, node)
        elif step.kind is Kind.DRAIN:
            node.stop(step.seconds / 2)
            later(step.seconds, self._restart, node)
        elif step.kind is Kind.STOP:
            node.process.stop()
            later(step.seconds, node.process.go_on)
        elif step.kind is Kind.CUT:
            self.broker.cut_off(node.name)
            later(step.seconds, self.broker.reach, node.name)
        elif step.kind is Kind.REFUSE:
            node.reach.is_cut = True
            later(step.seconds, node.reach.allow)
        else:
            node.clock.ahead += step.other

    def _sever(self, node: Node) -> None:
        for guest in self.guests.values():
            guest.sever(node.name)

    def _restart(self, node: Node) -> None:
        """Start a node again, once it is over."""
        number = self._born.index(node)
        machine = next(at for at, each in enumerate(self.nodes) if each.machine == node.machine)
        if self.nodes[machine] is not node:
            return
        if not node.is_over:
            self.loop.call_later(_RESTART, self._restart, self._born[number])
            return
        for trouble in self.troubles:
            if trouble.node == node.name and trouble.kind in DEATHS:
                trouble.until = self.loop.time()  # who was stopped, too, is drained later
        self._sever(node)
        self.nodes[machine] = self._make_node(machine)
        self.nodes[machine].start()

    # The end

    def _heal(self) -> None:
        self.story.tell("world", "** all is well from here on")
        self.broker.start()
        for node in self.nodes:
            node.process.go_on()
            self.broker.reach(node.name)
            node.reach.allow()
            if node.is_over:
                self._restart(node)
        for guest in self.guests.values():
            guest.release()
            guest.come()

    def _ask_last(self) -> None:
        """Have everybody ask for something, and look at every room once more."""
        for guest in self.guests.values():
            if guest.is_gone:
                continue
            if not guest.is_in:
                self.story.break_("way in", guest.name, "to be connected by now", "it is not")
                continue
            guest.request(Ping())
            for room in ROOMS:
                guest.request(Post(room))
            for room in list(guest.rooms):
                guest.request(Subscribe(room))


class _Errors(logging.Handler):
    """What the nodes log as errors: each is one, but for those that were asked for.

    Those are what handlers are to fail with, and that something is out of reach, if it may be.
    """

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        """See what it is."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, Planned):
            return
        if isinstance(error, Overloaded) and self._world.had_trouble(0, self._world.loop.time()):
            return
        process = current_process()
        if process is not None and process.is_dead:
            return
        about = "" if error is None else f": {type(error).__name__}: {error}"
        name = "world" if process is None else process.name
        self._world.failed(name, f"the log says {record.getMessage()!r}{about}")


def live(plan: Plan, scenario: Scenario) -> World:
    """Have a plan happen, from beginning to end.

    Returns:
        The world as it is then; its story tells what happened.

    Raises:
        Stuck: something that is left in the end does not unwind.
    """
    logger = logging.getLogger("lbproto")
    before = logger.level, logger.propagate

    async def main(loop: VirtualLoop) -> World:
        world = World(loop, plan, scenario)
        errors = _Errors(world)
        loop.set_exception_handler(lambda _, context: world.failed("world", _told(context)))
        logger.addHandler(errors)
        logger.setLevel(logging.ERROR)
        logger.propagate = False
        try:
            await world.run()
        finally:
            world.bury()
        return world

    with bits_from(plan.seed):
        try:
            return run_virtually(main)
        finally:
            for handler in [each for each in logger.handlers if isinstance(each, _Errors)]:
                logger.removeHandler(handler)
            logger.level, logger.propagate = before


def _told(context: dict[str, Any]) -> str:
    error = context.get("exception")
    return f"{context['message']}: {error!r}"
