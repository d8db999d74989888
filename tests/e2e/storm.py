"""Clients of an app of several nodes, through all that can befall these; each keeps a log.

Run as a module it is the whole proof, with three nodes: see `main`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from tests.e2e.storming import BROKER
from tests.ledger.servers import Valkey
from tests.serving import ServerProcess, serving

APP = "tests.e2e.storming:build"
LOST = ("session_lost", -1)
"""What stands in a client's log where something may be missing, and the client was told so."""

_JSON = Subprotocol("lbproto.v1.json")
_AGAIN = 0.3  # seconds until a client tries the next node, about
_QUIET = 3.0  # seconds without an event after which all have come that do


@dataclass
class Nodes:
    """Those that clients may go to."""

    running: list[ServerProcess] = field(default_factory=list)

    def other_than(self, port: int) -> int:
        """The port of another one, if there is any."""
        ports = [node.port for node in self.running if node.port != port]
        return random.choice(ports) if ports else port


class Client:
    """A client in one room, on plain WebSocket; it comes back by itself.

    Attributes:
        log: what it was told, in order: publishers and numbers, and `LOST`.
        present: the users that it has been told are in its room.
        lost, recovered: how often it came back, without its session and with it.
    """

    def __init__(self, user: str, room: str, nodes: Nodes, port: int) -> None:
        self.user, self.room, self.port = user, room, port
        self.log: list[tuple[str, int]] = []
        self.present: set[str] = set()
        self.count = 0
        self.lost = self.recovered = 0
        self.heard = 0.0
        self.inside = asyncio.Event()
        self._nodes = nodes
        self._resume: dict[str, str] = {}
        self._socket: ClientConnection | None = None
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._ids = 0

    async def run(self) -> None:
        """Be connected, again and again, until cancelled."""
        while True:
            with suppress(OSError, WebSocketException, TimeoutError, EOFError):
                await self._connect()
            self.inside.clear()
            self._fail_asked()
            await asyncio.sleep(random.uniform(_AGAIN / 2, _AGAIN))
            self.port = self._nodes.other_than(self.port)

    async def _connect(self) -> None:
        query = "&".join(f"{name}={value}" for name, value in self._resume.items())
        async with connect(
            f"ws://127.0.0.1:{self.port}/ws?{query}",
            subprotocols=[_JSON],
            additional_headers={"Authorization": f"Bearer token-{self.user}"},
            compression=None,
            open_timeout=30,
            close_timeout=1,
            ping_interval=None,
            max_queue=None,
        ) as self._socket:
            async for message in self._socket:
                self._take(json.loads(message))

    def _take(self, frame: dict[str, Any]) -> None:
        name, data = frame["event"], frame["data"]
        if name == "said":
            self.log.append((data["publisher"], data["number"]))
            self.heard = time.monotonic()
        elif name == "connected":
            self._resume["pid"] = data["pid"]
            if "sid" in self._resume and self._resume["sid"] != data["sid"]:
                self._resume.pop("offset", None)
            is_new = self._resume.get("sid") != data["sid"]
            self._resume["sid"] = data["sid"]
            if is_new:
                self.present.clear()
                self._send("subscribe", {"room": self.room})
        elif name == "subscribed":
            self.count = data["subscriberCount"]
            self.inside.set()
        elif name == "recovered":
            self.recovered += 1
            self.inside.set()
        elif name == "session_lost":
            self.lost += 1
            self.log.append(LOST)
        elif name == "user_joined_room":
            self.present.add(data["userId"])
        elif name == "user_left_room":
            self.present.discard(data["userId"])
        if "offset" in frame:
            self._resume["offset"] = frame["offset"]
        answer = self._answers.pop(frame.get("re", -1), None)
        if answer is not None and not answer.done():
            answer.set_result(data)

    def _send(self, event: str, data: Any, id_: int | None = None) -> None:
        assert self._socket is not None
        frame = {"event": event, "data": data} | ({} if id_ is None else {"id": id_})
        sending = asyncio.ensure_future(self._socket.send(json.dumps(frame)))
        sending.add_done_callback(lambda done: done.exception())

    async def ask(self, event: str, data: Any) -> Any:
        """The answer; None where the connection was lost before it came."""
        await self.inside.wait()
        self._ids += 1
        answer = self._answers[self._ids] = asyncio.get_running_loop().create_future()
        self._send(event, data, self._ids)
        return await answer

    def _fail_asked(self) -> None:
        for answer in self._answers.values():
            answer.done() or answer.set_result(None)
        self._answers.clear()

    def drop(self) -> None:
        """Lose the connection, as by a network that is gone."""
        if self._socket is not None:
            self._socket.transport.abort()

    def faults(self, said: dict[str, set[int]]) -> Iterator[str]:
        """What is wrong with its log.

        Args:
            said: of each publisher to this room, the numbers that it was told to be on their way.
        """
        last: dict[str, int] = {}
        known: set[str] = set()  # those heard since the last gap
        for publisher, number in (*self.log, *((each, sys.maxsize) for each in said)):
            if (publisher, number) == LOST:
                known = set()
                continue
            before = last.get(publisher, -1)
            if number <= before:
                yield f"{self.user}: {publisher} {number} after {before}"
            elif publisher in known:
                missing = [each for each in said[publisher] if before < each < number]
                if missing:
                    yield f"{self.user}: {publisher} lacks {sorted(missing)} after {before}"
            last[publisher] = number
            known.add(publisher)


class Publisher:
    """Says something to each of its rooms in turn, by way of a client of its own.

    Attributes:
        said: the numbers that it was told to be on their way, by room, each with when and by which
            node.
    """

    def __init__(self, client: Client, rooms: list[str], pause: float) -> None:
        self.client = client
        self.said: dict[str, dict[int, tuple[float, int]]] = {room: {} for room in rooms}
        self.unanswered = 0
        self._pause = pause

    async def run(self) -> None:
        """Until cancelled."""
        numbers = dict.fromkeys(self.said, 0)
        while True:
            for room, said in self.said.items():
                number = numbers[room]
                numbers[room] += 1
                name = self.name(room)
                port = self.client.port
                request = {"room": room, "publisher": name, "number": number}
                answer = await self.client.ask("say", request)
                if answer is not None and answer.get("number") == number:
                    said[number] = time.monotonic(), port
                else:
                    self.unanswered += 1
                await asyncio.sleep(self._pause)

    def name(self, room: str) -> str:
        return f"{self.client.user} in {room}"


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

    def __init__(self, plan: Plan, valkey: Valkey, say: Any = print) -> None:
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
        while any(time.monotonic() - client.heard < _QUIET for client in staying):
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
            (0.3, self._drain),
            (0.5, self._kill_node),
            (0.75, self._kill_broker),
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
        movers = random.sample(clients, round(len(clients) * self._plan.movers))
        for client in movers:
            await asyncio.sleep(0.9 * self._plan.seconds / len(movers))
            client.drop()

    async def _leave(self, clients: list[Client], tasks: list[asyncio.Task[None]]) -> None:
        """One in twenty goes for good, without a word."""
        leavers = random.sample(range(len(clients)), len(clients) // 20)
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
        while (counts or ghosts) and time.monotonic() < ended + 60:
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
        return any(port == killed and at > when - 1.0 for when, killed in self._killed)

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
            print("  " + line)  # noqa: T201 - a command
    print(  # noqa: T201
        f"{outcome.said:,} events said ({outcome.unanswered} unanswered), {outcome.events:,} came; "
        f"{outcome.recovered:,} times recovered, {outcome.lost} times told of a gap; "
        f"{len(outcome.faults)} faults in logs, {len(outcome.counts)} wrong counts, "
        f"{len(outcome.ghosts)} ghosts; converged in {outcome.converged:.1f} s"
    )
    sys.exit(bool(outcome.faults or outcome.counts or outcome.ghosts))


if __name__ == "__main__":
    main()
