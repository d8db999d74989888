"""One node of a world: a real server in a process that can be stopped and killed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lbproto.plugin import Plugin
from lbproto.server import Server
from lbproto.sessions.recovery import Recovery
from lbproto.simulator.chance import stream
from lbproto.simulator.clock import NodeClock
from lbproto.simulator.loop import Process
from lbproto.simulator.stores import Reach, SimulatedLedger, SimulatedStorage
from lbproto.simulator.wire import SimulatedWire
from lbproto.testing import AnyToken, Wire
from lbproto.wire.settings import Settings

if TYPE_CHECKING:
    from lbproto.simulator.world import World

__all__ = ["RECOVERY", "Node"]

RECOVERY = Recovery(window=40.0, grace=3.0)
_SETTINGS = Settings(max_queued_frames=48, max_queued_bytes=16_384)


class Node:
    """One node, from its start to its end.

    Args:
        world: where it is.
        number: its place among the nodes.
        life: counts its starts.
        plugins: makes what it serves, given its name.

    Attributes:
        name: for people: one that was started again has another.
        machine: what stays the same then.
        process: that it runs in.
        server: it.
        reach: its way to the stores.
        is_up: whether it takes connections.
        is_over: whether it will do nothing more.
    """

    def __init__(
        self,
        world: World,
        number: int,
        life: int,
        plugins: Callable[[str], Sequence[Plugin]],
    ) -> None:
        self.machine = f"node{number}"
        self.name = self.machine if life == 1 else f"{self.machine}.{life}"
        self.is_up = self.is_over = False
        self._world = world
        seed = world.plan.seed
        random = stream(seed, "clock", self.machine)
        self.clock = NodeClock(
            world.loop,
            since=random.uniform(0, 1e6),
            ahead=random.uniform(-0.2, 0.2),
            rate=random.uniform(0.999, 1.001),
        )
        self.process = Process(world.loop, self.name)
        self.reach = Reach(seed, self.name)
        self._pubsub = world.plug_in(self.name, self.process)
        self.server = Server(
            plugins(self.name),
            auth=AnyToken(),
            recovery=replace(RECOVERY, max_events=world.plan.max_events),
            settings=_SETTINGS,
            storage=SimulatedStorage(world.shared, self.reach),
            pubsub=self._pubsub,
            credits=SimulatedLedger(world.shared, self.reach),
            clock=self.clock,
        )
        self._stop = asyncio.Event()
        self._drain: float | None = None

    def start(self) -> None:
        """Start it."""
        self._world.story.tell(self.name, "starts")
        self._task = self.process.start(self._run())

    async def _run(self) -> None:
        try:
            async with self.server.lifespan():
                self.is_up = True
                self._world.story.tell(self.name, "is up")
                await self._stop.wait()
                self.is_up = False
                if self._drain is not None:
                    await self.server.drain(self._drain)
        except Exception as error:  # noqa: BLE001 - of plugins, too: they are told
            if not self.process.is_dead:
                self._world.failed(self.name, error)
        finally:
            self.is_up = False
            self.is_over = True
            if not self.process.is_dead:
                self._world.story.tell(self.name, "is down")

    def stop(self, drain: float) -> None:
        """Drain it, and stop."""
        self._drain = drain
        self.process.call(self._stop.set)

    def kill(self) -> None:
        """End it at once: it does nothing more, and is heard no more."""
        self.process.kill()
        self.reach.is_severed = True
        self._pubsub.kill()
        self.is_up = False
        self.is_over = True

    def accept(self, wire: SimulatedWire, spoken: Wire) -> None:
        """A client connects."""

        def open_() -> None:
            if self.is_up and self.server.runtime.accepting:
                wire.open(self.server, spoken)
            else:
                wire.sever()

        self._world.loop.call_later(wire.delay(), self.process.call, open_)
