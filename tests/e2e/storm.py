"""Clients of an app of several nodes, through all that can befall these; each keeps a log.

Run as a module it is the whole proof, with three nodes: see `main`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from tests.e2e.storm_clients import LOST, Client, Nodes, Publisher
from tests.e2e.storming import BROKER
from tests.ledger.servers import Valkey
from tests.serving import ServerProcess, serving

__all__ = ["Outcome", "Plan", "Storm"]

APP = "tests.e2e.storming:build"
_QUIET = 3.0  # seconds without an event after which all have come that do
_CONVERGES = 60.0  # seconds that counts and presence are waited for
_CHANCE = random.Random()  # noqa: S311 - no secret


@dataclass(frozen=True)
class Plan:
    """How large it is.

    Attributes:
        seconds: how long there is traffic.
        rate: events a second, of all publishers.
        movers: which share of the clients drops and resumes on another node meanwhile.
    """

    clients: int
    rooms: int
    seconds: float
    rate: float
    movers: float = 0.2


@dataclass
class Outcome:
    """What has become of all.

    Attributes:
        faults: what is wrong with a log.
        counts: rooms, and what a node says of how many are there, where that is not so.
        ghosts: users that somebody takes for present who has left.
        said, unanswered: events that publishers were told to be on their way, and others.
        events: that came.
        recovered, lost: how often clients came back, with their session and without.
        converged: seconds after the last of the traffic in which counts and presence did.
    """

    faults: list[str]
    counts: list[str]
    ghosts: list[str]
    said: int
    unanswered: int
    events: int
    recovered: int
    lost: int
    converged: float


class Storm:
    """Three nodes on one Valkey, their clients, and what befalls them.

    Args:
        plan: how large it is.
        say: told what happens, as it happens.
    """

    def __init__(self, plan: Plan, valkey: Valkey, say: Callable[[str], object] = print) -> None:
        self._plan = plan
        self._valkey = valkey
        self._say = say
        self._nodes = Nodes()
        self._contexts: dict[ServerProcess, AbstractContextManager[ServerProcess]] = {}
        self._killed: list[tuple[float, int]] = []
        self._gone: set[str] = set()
        self._began = 0.0

    async def run(self) -> Outcome:
        """All of it."""
        for _ in range(3):
            await self._start()
        plan, ports = self._plan, [node.port for node in self._nodes.running]
        clients = [
            Client(f"user-{n}", f"talk:{n % plan.rooms}", self._nodes, ports[n // plan.rooms % 3])
            for n in range(plan.clients)
        ]
        rooms = [f"talk:{n}" for n in range(plan.rooms)]
        publishers = [
            Publisher(
                Client(f"publisher-{n}", "talk:publishers", self._nodes, port),
                rooms[n::3],
                3 / plan.rate,
            )
            for n, port in enumerate(ports)
        ]
        tasks = []
        for client in (*clients, *(each.client for each in publishers)):
            tasks.append(asyncio.create_task(client.run()))
            if len(tasks) % 50 == 0:
                await client.inside.wait()
        for client in clients:
            await client.inside.wait()
        self._began = time.monotonic()
        self._tell(f"{len(clients)} clients are in {plan.rooms} rooms")
        talking = [asyncio.create_task(each.run()) for each in publishers]
        await asyncio.gather(
            self._befall(), self._move(clients), self._leave(clients, tasks), self._tick(clients)
        )
        for each in talking:
            each.cancel()
        await asyncio.gather(*talking, return_exceptions=True)
        staying = [client for client in clients if client.user not in self._gone]
        while any(  # noqa: ASYNC110 - nothing tells of it
            time.monotonic() - client.heard < _QUIET for client in staying
        ):
            await asyncio.sleep(0.2)
        for client in staying:
            await client.inside.wait()
        outcome = await self._look(staying, publishers)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for node in list(self._nodes.running):
            await self._end(node)
        return outcome

    # What befalls them

    async def _befall(self) -> None:
        for share, happens in (
            (0.1, self._kill_broker),
            (0.25, self._drain),
            (0.6, self._kill_node),  # by then the one in the drained one's place knows of it
            (0.8, self._kill_broker),
            (1.0, None),
        ):
            await asyncio.sleep(self._began + share * self._plan.seconds - time.monotonic())
            if happens is not None:
                await happens()

    async def _kill_broker(self) -> None:
        self._tell("the broker is killed")
        await asyncio.to_thread(self._valkey.kill)
        await asyncio.sleep(1.0)
        await asyncio.to_thread(self._valkey.start)
        self._tell("the broker is there again")

    async def _drain(self) -> None:
        node = self._nodes.running.pop(0)
        self._tell(f"node {node.port} is drained")
        await self._end(node)
        self._tell(f"node {node.port} has ended; another takes its place")
        await self._start()

    async def _kill_node(self) -> None:
        node = self._nodes.running.pop(0)
        self._tell(f"node {node.port} is killed")
        node.kill()
        self._killed.append((time.monotonic(), node.port))

    async def _move(self, clients: list[Client]) -> None:
        movers = _CHANCE.sample(clients, round(len(clients) * self._plan.movers))
        for client in movers:
            await asyncio.sleep(0.9 * self._plan.seconds / len(movers))
            client.drop()

    async def _leave(self, clients: list[Client], tasks: list[asyncio.Task[None]]) -> None:
        """One in twenty goes for good, without a word."""
        leavers = _CHANCE.sample(range(len(clients)), len(clients) // 20)
        for n in leavers:
            await asyncio.sleep(0.9 * self._plan.seconds / len(leavers))
            self._gone.add(clients[n].user)
            tasks[n].cancel()

    async def _tick(self, clients: list[Client]) -> None:
        while time.monotonic() < self._began + self._plan.seconds:
            await asyncio.sleep(self._plan.seconds / 12)
            inside = sum(client.inside.is_set() for client in clients)
            events = sum(len(client.log) for client in clients)
            moved = sum(client.recovered for client in clients)
            lost = sum(client.lost for client in clients)
            self._tell(f"{inside} inside, {events:,} events, {moved} recovered, {lost} lost")

    async def _start(self) -> None:
        os.environ[BROKER] = self._valkey.url
        context = serving(APP, "lbproto")
        node = await asyncio.to_thread(context.__enter__)
        self._contexts[node] = context
        self._nodes.running.append(node)

    async def _end(self, node: ServerProcess) -> None:
        await asyncio.to_thread(self._contexts.pop(node).__exit__, None, None, None)

    def _tell(self, text: str) -> None:
        self._say(f"{time.monotonic() - self._began:6.1f} s  {text}")

    # What has become of them

    async def _look(self, clients: list[Client], publishers: list[Publisher]) -> Outcome:
        said: dict[str, dict[str, set[int]]] = {}
        for publisher in publishers:
            for room, numbers in publisher.said.items():
                certain = {
                    n for n, (at, port) in numbers.items() if not self._is_doubtful(at, port)
                }
                said.setdefault(room, {})[publisher.name(room)] = certain
        faults = [fault for client in clients for fault in client.faults(said[client.room])]
        ended = time.monotonic()
        counts, ghosts = await self._disagreeing(clients)
        while (counts or ghosts) and time.monotonic() < ended + _CONVERGES:
            await asyncio.sleep(1.0)
            counts, ghosts = await self._disagreeing(clients)
        return Outcome(
            faults=faults,
            counts=counts,
            ghosts=ghosts,
            said=sum(len(numbers) for each in publishers for numbers in each.said.values()),
            unanswered=sum(each.unanswered for each in publishers),
            events=sum(each != LOST for client in clients for each in client.log),
            recovered=sum(client.recovered for client in clients),
            lost=sum(client.lost for client in clients),
            converged=time.monotonic() - ended,
        )

    def _is_doubtful(self, at: float, port: int) -> bool:
        """Whether a node was killed that had just told so: it may not have told the others."""
        return any(port == killed and at > when - 3.0 for when, killed in self._killed)

    async def _disagreeing(self, clients: list[Client]) -> tuple[list[str], list[str]]:
        inside: dict[str, list[Client]] = {}
        for client in clients:
            inside.setdefault(client.room, []).append(client)
        counts = []
        for room, members in inside.items():
            asked = {client.port: client for client in members}  # one on each node
            for port, client in asked.items():
                answer = await client.ask("subscribe", {"room": room})
                if answer is None or answer.get("subscriberCount") != len(members):
                    counts.append(f"{room}, by {port}: {answer}, and not {len(members)}")
        ghosts = [
            f"{client.user} takes {user} for present"
            for client in clients
            for user in client.present & self._gone
        ]
        return counts, ghosts


def main() -> None:
    """The whole proof: 3,000 clients in 200 rooms for a minute."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--clients", type=int, default=3_000)
    parser.add_argument("--rooms", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=200.0, help="events a second")
    parser.add_argument("--forgetful", action="store_true", help="the broker writes nothing down")
    asked = parser.parse_args()
    valkey = Valkey(**({"save": "", "appendonly": "no"} if asked.forgetful else {}))
    try:
        plan = Plan(asked.clients, asked.rooms, asked.seconds, asked.rate)
        outcome = asyncio.run(Storm(plan, valkey).run())
    finally:
        valkey.stop()
    for wrong in (outcome.faults, outcome.counts, outcome.ghosts):
        for line in wrong[:10]:
            print("  " + line)
    print(
        f"{outcome.said:,} events said ({outcome.unanswered} unanswered), {outcome.events:,} came; "
        f"{outcome.recovered:,} times recovered, {outcome.lost} times told of a gap; "
        f"{len(outcome.faults)} faults in logs, {len(outcome.counts)} wrong counts, "
        f"{len(outcome.ghosts)} ghosts; converged in {outcome.converged:.1f} s"
    )
    sys.exit(bool(outcome.faults or outcome.counts or outcome.ghosts))


if __name__ == "__main__":
    main()
