"""One connection in a storm: bad messages, slow reading, time, and the server's own doings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

from anyio.abc import TaskGroup

from lbproto.asgi.engineio import EngineEndpoint
from lbproto.connection.base import Connection
from lbproto.connection.runtime import Runtime
from lbproto.errors import InvalidRequest
from lbproto.frame import Message
from lbproto.scheduling.tasks import background_tasks
from lbproto.testing import VirtualClock, settle
from lbproto.transport import CloseCode
from lbproto.wire import Arguments, Inbound, Settings, Socket
from lbproto.wire.plain import PLAIN_MSGPACK
from tests.fuzz.mutate import Mutator
from tests.wire.asgi import Call, WebSocketCall, get, post, sid_of, websocket
from tests.wire.kit import Client, Program, engine_client, engine_edge, plain_client

__all__ = ["SETTINGS", "storm"]

SETTINGS = Settings(
    max_payload=20_000,
    max_attachments=4,
    max_namespaces=2,
    max_pending_requests=4,
    max_queued_frames=16,
    max_queued_bytes=50_000,
)


class Weathered(Program):
    """Looks into every argument, and is told of each socket's end exactly once."""

    def __init__(self) -> None:
        super().__init__()
        self.open: set[str] = set()

    async def authenticate(self, socket: Socket, auth: Arguments) -> None:
        with suppress(InvalidRequest):
            auth.values()
        try:
            await super().authenticate(socket, auth)
        except InvalidRequest:
            return

    async def opened(self, socket: Socket) -> None:
        assert socket.sid not in self.open
        self.open.add(socket.sid)
        await super().opened(socket)

    async def event(self, socket: Socket, inbound: Inbound) -> None:
        assert socket.sid in self.open
        try:
            inbound.arguments.values()
            request: dict[str, Any] = inbound.arguments.first(dict)
        except InvalidRequest:
            return
        if inbound.name == "burst":
            for number in range(20):
                socket.emit("n", number, "x" * 1_000)
        if inbound.name not in ("slow", "echo", "leave", "close"):
            socket.emit("understood", sorted(map(str, request))[:5])
            return
        await super().event(socket, inbound)

    def acknowledged(self, socket: Socket, request: int, arguments: Arguments) -> None:
        """Nothing here asks for an acknowledgement; a client may send one all the same."""

    def closed(self, socket: Socket, reason: str) -> None:
        self.open.remove(socket.sid)
        super().closed(socket, reason)


def check(connection: Connection) -> None:
    """The bounds that hold at any moment."""
    outbox = connection.outbox
    assert len(outbox) <= SETTINGS.max_queued_frames
    assert len(outbox) <= 1 or outbox.queued_bytes <= SETTINGS.max_queued_bytes
    # One message may bring one request more than fits; then reading pauses.
    assert len(connection._inbox) <= SETTINGS.max_pending_requests


async def storm(runtime: Runtime, mutator: Mutator, fed: list[Any]) -> str:
    """Have one connection live through it.

    Args:
        runtime: on a fake clock; empty.
        mutator: what comes in, and every other choice.
        fed: filled with what was done, for the report of a failure.

    Returns:
        What kind of connection it was.
    """
    program = Weathered()
    kinds: dict[str, Callable[..., Any]] = {
        "socketio": _over_websocket,
        "msgpack": _over_websocket,
        "plain json": _over_websocket,
        "plain msgpack": _over_websocket,
        "polling": _over_polling,
    }
    kind = mutator.random.choice(list(kinds))
    await kinds[kind](kind, runtime, program, mutator, fed)
    while program.waits:
        program.release()
        await settle()
    await settle()
    assert not runtime.connections
    assert not runtime.engines
    assert not program.open
    assert not program.running
    return kind


def _clock(runtime: Runtime) -> VirtualClock:
    assert isinstance(runtime.clock, VirtualClock)
    return runtime.clock


async def _over_websocket(
    kind: str, runtime: Runtime, program: Weathered, mutator: Mutator, fed: list[Any]
) -> None:
    random = mutator.random
    token = random.choice((None, "t", "slow", "bad"))
    clients: dict[str, tuple[Callable[[], Client], Callable[[], Message], Message | None]] = {
        "socketio": (lambda: engine_client(runtime, program), mutator.socketio, "40"),
        "msgpack": (
            lambda: engine_client(runtime, program),
            mutator.msgpack,
            b"\x82\xa4type\x00\xa3nsp\xa1/",
        ),
        "plain json": (lambda: plain_client(runtime, program, token), mutator.plain, None),
        "plain msgpack": (
            lambda: plain_client(runtime, program, token, PLAIN_MSGPACK),
            mutator.plain_msgpack,
            None,
        ),
    }
    connect, make, opening = clients[kind]
    client = connect()
    fed.append(f"{kind}, token {token}")
    if opening is not None and random.random() < 0.8:
        await client.send(opening)
    for _ in range(random.randrange(1, 25)):
        step = random.choice(
            ("message",) * 8 + ("turn", "turn", "time", "pause", "emit", "release")
        )
        if step == "message":
            if client.connection.congested:
                continue  # whoever reads would wait now
            fed.append(make())
            client.send_nowait(fed[-1])
        else:
            fed.append(step)
            await _step(step, client, runtime, program, random)
        check(client.connection)
    fed.append("the end")
    await settle()
    if not client.transport.is_open:
        assert client.connection.closed
    client.connection.lost("the storm is over")
    if client.transport._paused is not None:
        client.transport.resume()


async def _step(
    step: str, client: Client, runtime: Runtime, program: Weathered, random: Random
) -> None:
    if step == "time":
        await _clock(runtime).advance(random.choice((0.1, 1.0, 5.0, 26.0, 46.0)))
    elif step == "pause":
        if client.transport._paused is None:
            client.transport.pause()
        else:
            client.transport.resume()
    elif step == "emit":
        for socket in list(program.sockets.values()):
            for _ in range(random.choice((1, 5, 20))):
                socket.emit("n", "x" * random.choice((1, 1_000, 30_000)))
        if random.random() < 0.2:
            client.connection.close(CloseCode.SERVICE_RESTART, "as it happens")
    elif step == "release" and program.waits:
        program.release()
    await settle()


class Poller:
    """A client of the ASGI edge, which does anything at any time."""

    def __init__(
        self, edge: EngineEndpoint, tasks: TaskGroup, sid: str, mutator: Mutator, fed: list[Any]
    ) -> None:
        self.calls: list[Call] = []
        self._edge = edge
        self._tasks = tasks
        self._sid = sid
        self._mutator = mutator
        self._fed = fed
        self._upgrade: WebSocketCall | None = None

    async def post(self) -> None:
        body = self._mutator.payload()
        self._fed.append(body)
        at = self._mutator.random.randrange(len(body) + 1)
        self.calls.append(await post(self._edge, self._tasks, self._sid, body[:at], body[at:]))

    async def poll(self) -> None:
        query = f"EIO=4&transport=polling&sid={self._sid}"
        self.calls.append(await get(self._edge, self._tasks, query))

    async def probe(self) -> None:
        if self._upgrade is None or self._upgrade.done:
            query = f"EIO=4&transport=websocket&sid={self._sid}"
            self._upgrade = await websocket(self._edge, self._tasks, query)
            self.calls.append(self._upgrade)

    async def say(self) -> None:
        if self._upgrade is not None:
            said = self._mutator.random.choice(
                ("2probe", "5", self._mutator.socketio(), self._mutator.socketio())
            )
            self._fed.append(said)
            await self._upgrade.say(said)

    async def abort(self) -> None:
        if self.calls:
            call = self._mutator.random.choice(self.calls)
            await (call.hang_up() if isinstance(call, WebSocketCall) else call.abort())


async def _over_polling(
    kind: str, runtime: Runtime, program: Weathered, mutator: Mutator, fed: list[Any]
) -> None:
    random = mutator.random
    edge = engine_edge(runtime, program)
    async with background_tasks() as tasks:
        handshake = await get(edge, tasks)
        (connection,) = runtime.connections
        poller = Poller(edge, tasks, sid_of(handshake.text), mutator, fed)
        if random.random() < 0.8:
            await post(edge, tasks, sid_of(handshake.text), b"40")
        for _ in range(random.randrange(1, 20)):
            step = random.choice(("post", "post", "poll", "probe", "say", "say", "time", "abort"))
            fed.append(step)
            if step == "time":
                await _clock(runtime).advance(random.choice((0.1, 5.0, 11.0, 46.0)))
            else:
                await getattr(poller, step)()
            if program.waits and random.random() < 0.3:
                program.release()
            check(connection)
        fed.append("the end")
        connection.lost("the storm is over")
        while program.waits:
            program.release()
            await settle()
        await settle()
        for call in poller.calls:
            assert call.error is None, call.error
            if not isinstance(call, WebSocketCall):
                assert call.done, "a request is still waiting though the session is over"
                assert call.status in (200, 400, 413), call.answer
