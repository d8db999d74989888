"""A cluster under a steady workload: what it says, beside what is predicted."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from itertools import count
from random import Random
from typing import Any

from benchmarks.capacity.check import Compared
from benchmarks.capacity.cluster import SILENT, Cluster, Flood, Guest, simulated
from benchmarks.capacity.ports import Tally
from benchmarks.capacity.workload import Workload, rates
from lbproto.messages import Subscribe
from lbproto.simulator.chance import stream

__all__ = ["SECONDS", "WORK", "steady"]

WORK = Workload(connections=120, members=12, events=0.5, losses=60.0, visits=30.0, requests=0.0)
SECONDS = 60.0
_MEMBERS = round(WORK.members)
_SETTLES = 5.0
_AWAY = 0.1


def steady(nodes: int) -> Compared:
    """What was said, heard, stored and delivered in that time."""
    found = simulated(lambda cluster: _run(cluster, nodes))
    wanted = {each: round(many * SECONDS) for each, many in rates(WORK, nodes).items()}
    return Compared(nodes, "steady", _sums(Tally(wanted)), _sums(found))


def _sums(tally: Tally) -> Tally:
    """By what nodes have to do with them."""
    groups = ("event", "changes", "call", "answer", "beat")
    sums = Tally({"delivered": tally["delivered"]})
    for what, many in tally.items():
        verb, _, kind = what.partition(" ")
        if verb in ("said", "heard") and kind in groups:
            sums[what] += many
        elif verb == "stored":
            sums["stored"] += many
    return sums


async def _run(cluster: Cluster, nodes: int) -> Tally:
    random = stream(nodes, "steady")
    await cluster.start(nodes)
    rooms = [f"{SILENT}:{number}" for number in range(round(WORK.all_rooms))]
    members = [[await _new(cluster, random, room) for _ in range(_MEMBERS)] for room in rooms]
    await asyncio.sleep(_SETTLES)
    before = cluster.tally.copy()
    async with asyncio.TaskGroup() as tasks:
        for work in _works(cluster, random, rooms, members):
            tasks.create_task(work)
        await asyncio.sleep(SECONDS)
    return cluster.tally - before


def _works(
    cluster: Cluster, random: Random, rooms: list[str], members: list[list[Guest]]
) -> list[Coroutine[Any, Any, None]]:
    """Who publishes stays; the others come and go, each at some time."""
    works = [_publish(room, some[0]) for room, some in zip(rooms, members, strict=True)]
    losses, visits = round(WORK.lost * SECONDS), round(WORK.begun * SECONDS)
    others = [
        (room, guest) for room, some in zip(rooms, members, strict=True) for guest in some[1:]
    ]
    going, staying = others[:visits], others[visits:]
    works += [_replace(cluster, random, room, guest) for room, guest in going]
    turns: dict[Guest, list[float]] = {}
    for number in range(losses):
        _, guest = staying[number % len(staying)]
        turns.setdefault(guest, []).append(random.uniform(0, SECONDS - _SETTLES))
    steps = count()
    works += [_move(cluster, steps, guest, sorted(at)) for guest, at in turns.items()]
    return works


async def _new(cluster: Cluster, random: Random, room: str) -> Guest:
    guest = Guest(cluster, f"user{random.getrandbits(48):012x}")
    await guest.come(random.choice(cluster.members))
    await guest.ask(Subscribe(room))
    return guest


async def _publish(room: str, guest: Guest) -> None:
    for _ in range(round(WORK.events * SECONDS)):
        await guest.ask(Flood(room))
        await asyncio.sleep(1 / WORK.events - _AWAY)


async def _move(cluster: Cluster, steps: Iterator[int], guest: Guest, at: list[float]) -> None:
    """Lose the connection at these times; of all moves, as many lead to each distance."""
    members, began = cluster.members, cluster.loop.time()
    for each in at:
        await asyncio.sleep(max(0.0, began + each - cluster.loop.time()))
        guest.lose()
        await asyncio.sleep(_AWAY)
        number = members.index(guest.member) + next(steps)
        await guest.come(members[number % len(members)])


async def _replace(cluster: Cluster, random: Random, room: str, guest: Guest) -> None:
    await asyncio.sleep(random.uniform(0, SECONDS - _SETTLES))
    guest.leave()
    await _new(cluster, random, room)
