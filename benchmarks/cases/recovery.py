"""Recovery: what it costs a server to take a session up again.

Clients of one room lose their connections without a word, the room is sent `missed` events, and all
come back. Counted are a first connection (with its subscription), a resumption with nothing missed,
and an event that is sent again. Every client has to get every event once, and keep its id.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from benchmarks.cases.base import PAYLOAD, Case, CountsDiffer, Plan, Point, Taken, plan_rows
from benchmarks.cases.idle import used
from benchmarks.dialects import ROOM, dialect
from benchmarks.figures import Figure
from benchmarks.options import Options
from benchmarks.rows import ROWS
from benchmarks.servers import Running, running
from lbproto.load import Dialect

__all__ = ["RECOVERY"]

_CLIENTS, _MISSED = (200,), (100,)
_AT_ONCE = 32  # clients that connect at the same time
_NOTICE_SECONDS = 0.5  # for the server to see who is gone
_STRAY_SECONDS = 0.2  # for events that should not come
_PATIENCE = 20.0  # seconds
_QUICK = ("lbproto", "node-socketio-recovery")
_EVENT = '42["candle"'


def _plan(options: Options) -> Plan:
    parameters = {
        "clients": options.clients or _CLIENTS,
        "missed": options.missed or _MISSED,
    }
    plan = plan_rows("recovery", options, parameters, left_out=("lbproto-granian",), quick=_QUICK)
    spoken = [point for point in plan.points if point.parameters["wire"] in ("socketio", "events")]
    return Plan(spoken, plan.skipped)


class _Client:
    """A Socket.IO client that resumes.

    Args:
        url: the server's address.
        spoken: what it says.
    """

    def __init__(self, url: str, spoken: Dialect) -> None:
        self._url = url + spoken.path
        self._spoken = spoken
        self._auth: dict[str, Any] = {}
        (_, packet), _ = spoken.opening
        if packet is not None and len(packet) > 2:
            self._auth = json.loads(packet[2:])
        self.sid = ""
        self._socket: ClientConnection
        self._reading: asyncio.Task[None]
        self._introducing: asyncio.Task[None]  # a task that nobody holds may vanish
        self._connected, self._subscribed = asyncio.Event(), asyncio.Event()
        self._heard = asyncio.Event()
        self.events = 0

    async def connect(self) -> None:
        self._connected.clear()
        self._socket = await connect(self._url, compression=None, max_queue=None)
        self._reading = asyncio.create_task(self._read())
        await self._connected.wait()

    async def subscribe(self) -> None:
        await self._socket.send(self._spoken.say(self._spoken.subscribe, room=ROOM))
        await self._subscribed.wait()

    async def publish(self, count: int) -> None:
        await self._socket.send(self._spoken.say(self._spoken.publish, room=ROOM, count=count))

    async def wait_events(self, count: int) -> None:
        """Wait until it has got so many events in all."""
        while self.events < count:
            self._heard.clear()
            await self._heard.wait()

    async def lose(self) -> None:
        """Be gone without a word."""
        self._reading.cancel()
        self._socket.transport.abort()
        await self._socket.wait_closed()

    async def _read(self) -> None:
        async for message in self._socket:
            self._hear(str(message))

    def _hear(self, message: str) -> None:
        if message.startswith("0"):
            self._introducing = asyncio.create_task(self._introduce())
        elif message.startswith("40"):
            packet = json.loads(message[2:])
            self.sid = packet["sid"]
            self._auth["pid"] = packet["pid"]
            self._connected.set()
        elif message.startswith("42"):
            if message.startswith(_EVENT):
                self.events += 1
                self._heard.set()
            offset = json.loads(message[2:])[-1]
            if isinstance(offset, str):
                self._auth["offset"] = offset
        elif message.startswith(str(self._spoken.subscribed)):
            self._subscribed.set()

    async def _introduce(self) -> None:
        await self._socket.send(f"40{json.dumps(self._auth)}")


async def _each(
    clients: Iterable[_Client], act: Callable[[_Client], Coroutine[Any, Any, None]]
) -> None:
    """Have all clients do something, a few at a time."""
    free = asyncio.Semaphore(_AT_ONCE)

    async def one(client: _Client) -> None:
        async with free:
            await act(client)

    async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as tasks:
        for client in clients:
            tasks.create_task(one(client))


async def _begin(client: _Client) -> None:
    await client.connect()
    await client.subscribe()


async def _heard(clients: list[_Client], events: int) -> None:
    """Wait until all have got so many events since they were last asked, and no more."""
    async with asyncio.timeout(_PATIENCE):
        for client in clients:
            await client.wait_events(events)
    await asyncio.sleep(_STRAY_SECONDS)
    for client in clients:
        if client.events != events:
            raise CountsDiffer(f"a client got {client.events:,} events instead of {events:,}")
        client.events = 0


async def _resume(
    server: Running, clients: list[_Client], publisher: _Client, missed: int
) -> float:
    """Lose all clients and have them come back; the server's CPU seconds for the coming back."""
    sids = [client.sid for client in clients]
    await _each(clients, _Client.lose)
    await asyncio.sleep(_NOTICE_SECONDS)
    if missed:
        await publisher.publish(missed)
        await asyncio.sleep(_NOTICE_SECONDS)
    before = used(server)
    await _each(clients, _Client.connect)
    await _heard(clients, missed)
    taken = (used(server) - before).on_cpu
    if [client.sid for client in clients] != sids:
        raise CountsDiffer("a session was not resumed: its client has another id")
    return taken


async def _run(server: Running, spoken: Dialect, count: int, missed: int) -> Taken:
    clients = [_Client(server.url, spoken) for _ in range(count)]
    publisher = _Client(server.url, spoken)
    await publisher.connect()
    before = used(server)
    await _each(clients, _begin)
    connected = (used(server) - before).on_cpu
    await publisher.publish(1)  # whoever has got nothing yet has nowhere to resume from
    await _heard(clients, 1)
    nothing = await _resume(server, clients, publisher, 0)
    everything = await _resume(server, clients, publisher, missed)
    for client in (*clients, publisher):
        await client.lose()
    return Taken(
        {
            "resume_us": nothing * 1e6 / count,
            "replay_us": (everything - nothing) * 1e6 / count / missed,
            "connect_us": connected * 1e6 / count,
            "replayed": float(count * missed),
        }
    )


def _measure(point: Point, options: Options) -> Taken:
    spoken = dialect(str(point.parameters["wire"]), PAYLOAD)
    clients, missed = int(point.parameters["clients"]), int(point.parameters["missed"])
    with running(ROWS[point.row]) as server:
        try:
            return asyncio.run(_run(server, spoken, clients, missed))
        except (WebSocketException, ExceptionGroup) as failure:
            raise CountsDiffer(f"a client could not go on: {failure!r}") from failure


RECOVERY = Case(
    name="recovery",
    summary="Sessions of one room lost and resumed: server CPU per session and per missed event",
    figures=(
        Figure("resume_us", "CPU to resume", "µs", digits=0, compared=True),
        Figure("replay_us", "CPU per missed event", "µs", compared=True),
        Figure("connect_us", "CPU to connect anew", "µs", digits=0),
    ),
    plan=_plan,
    measure=_measure,
    bases=("node-socketio-recovery",),
)
