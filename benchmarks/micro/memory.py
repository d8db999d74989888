"""The whole way of a message through a Python server, without a network.

uvicorn's protocol class is given frames by hand, and a transport that only counts what is written:
everything is run but sockets and the kernel. The floor is an ASGI app without a framework.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from importlib import import_module
from typing import Any

import uvicorn
import uvloop
from uvicorn.lifespan.on import LifespanOn
from uvicorn.server import ServerState

from benchmarks.dialects import ROOM, dialect
from benchmarks.lbproto_server import server
from benchmarks.micro.operation import Operation, Prepared
from lbproto.load.dialect import Dialect

__all__ = ["OPERATIONS", "Host"]

REQUEST, FANOUT = "answer a request", "send an event to 100"
_MEMBERS = 100
_SIZE = 190
_HEAD_END = b"\r\n\r\n"
_SECONDS = 30.0  # in which every answer comes, also under valgrind
_HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{offered}\r\n"
)


def client_frame(message: str | bytes) -> bytes:
    """A client's WebSocket frame of at most 64 KiB, masked by zeros: its payload can be read."""
    payload = message.encode() if isinstance(message, str) else message
    opcode, length = 0x81 if isinstance(message, str) else 0x82, len(payload)
    size = bytes((0x80 | length,)) if length < 126 else b"\xfe" + length.to_bytes(2)
    return bytes((opcode,)) + size + bytes(4) + payload


class _Transport(asyncio.Transport):
    """Takes what is written, and is never full."""

    def __init__(self, written: Callable[[bytes], None]) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 80)})
        self.protocol: Any = None
        self.write = written  # type: ignore[assignment,method-assign]  # called as often as sockets

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self.protocol
        return protocol

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...

    def abort(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class _Client:
    """One connection."""

    def __init__(self, host: Host) -> None:
        self._written = host.written
        self._more = asyncio.Event()
        self.heard = bytearray()
        self._transport = _Transport(self._hear)
        self._transport.protocol = protocol = host.protocol()
        protocol.connection_made(self._transport)

    def say(self, data: bytes) -> None:
        self._transport.protocol.data_received(data)

    def _hear(self, data: bytes) -> None:
        self.heard += data
        self._more.set()
        self._written(data)

    async def upgraded(self) -> None:
        """Wait until the handshake is answered."""
        async with asyncio.timeout(_SECONDS):
            while _HEAD_END not in self.heard:
                await self._next()
        del self.heard[: self.heard.index(_HEAD_END) + len(_HEAD_END)]

    async def until(self, spoken: Dialect, start: str | bytes) -> None:
        """Wait until a message was written that starts like this."""
        async with asyncio.timeout(_SECONDS):
            while True:
                while (message := _taken(self.heard)) is not None:
                    if spoken.hears(message, start):
                        return
                await self._next()

    async def _next(self) -> None:
        """Wait until more is written."""
        self._more.clear()
        await self._more.wait()


def _taken(heard: bytearray) -> bytes | None:
    """The payload of the first frame of what was heard, which is then gone from it."""
    if len(heard) < 2:
        return None
    length, head = heard[1], 2
    if length == 126:
        length, head = int.from_bytes(heard[2:4]), 4
    message = bytes(heard[head : head + length])
    del heard[: head + length]
    return message


class Host:
    """An app under uvicorn's protocol class, in an event loop of its own.

    Args:
        app: an ASGI app.
        ws: uvicorn's name of the protocol class.
        spoken: what clients say.
    """

    def __init__(self, app: Any, ws: str, spoken: Dialect) -> None:
        self._spoken = spoken
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._config = uvicorn.Config(
            app, ws=ws, ws_per_message_deflate=False, ws_ping_interval=None, log_level="warning"
        )
        self._config.load()
        self._state = ServerState()
        self._writes = self._expected = 0
        self._waiter: asyncio.Future[None] | None = None
        self._lifespan: LifespanOn
        self.run(self._start())

    async def _start(self) -> None:
        self._lifespan = LifespanOn(self._config)
        await self._lifespan.startup()

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run something in the host's loop."""
        self._runner.run(coroutine)

    def protocol(self) -> asyncio.Protocol:
        """What uvicorn makes for a connection."""
        made: asyncio.Protocol = self._config.ws_protocol_class(  # type: ignore[misc,call-arg]
            config=self._config, server_state=self._state, app_state=self._lifespan.state
        )
        return made

    def written(self, data: bytes) -> None:
        """A connection has written."""
        self._writes += 1
        if self._writes == self._expected and self._waiter is not None:
            self._waiter.set_result(None)

    async def ask(self, client: _Client, frame: bytes, writes: int, times: int) -> None:
        """Send a frame and wait until the app has written so often; and again."""
        loop = asyncio.get_running_loop()
        for _ in range(times):
            self._writes, self._expected = 0, writes
            self._waiter = None
            client.say(frame)
            if self._writes < writes:
                self._waiter = loop.create_future()
                await self._waiter

    async def connect(self) -> _Client:
        """A client that has been let in."""
        client, spoken = _Client(self), self._spoken
        offered = ", ".join(spoken.subprotocols)
        header = f"Sec-WebSocket-Protocol: {offered}\r\n" if offered else ""
        client.say(_HANDSHAKE.format(path=spoken.path, offered=header).encode())
        await client.upgraded()
        for start, answer in spoken.opening:
            if start:
                await client.until(spoken, start)
            if answer is not None:
                client.say(client_frame(spoken.say(answer)))
        await asyncio.sleep(0.01)
        client.heard = _Forgetful()
        return client

    async def subscribe(self, client: _Client) -> None:
        """Have a client join the room."""
        client.heard = bytearray()
        client.say(client_frame(self._spoken.say(self._spoken.subscribe, room=ROOM)))
        await client.until(self._spoken, self._spoken.subscribed)
        client.heard = _Forgetful()


class _Forgetful(bytearray):
    """Where what is heard goes while only its number counts."""

    def __iadd__(self, other: object) -> _Forgetful:
        return self


def _request(make: Callable[[], Any], ws: str, wire: str) -> Prepared:
    spoken = dialect(wire, _SIZE)
    host = Host(make(), ws, spoken)
    clients: list[_Client] = []

    async def connect() -> None:
        clients.append(await host.connect())

    host.run(connect())
    frame = client_frame(spoken.say(spoken.request))
    return lambda times: host.run(host.ask(clients[0], frame, 1, times))


def _fanout(make: Callable[[], Any], ws: str, wire: str) -> Prepared:
    spoken = dialect(wire, _SIZE)
    host = Host(make(), ws, spoken)
    clients: list[_Client] = []

    async def connect() -> None:
        clients.append(await host.connect())
        for _ in range(_MEMBERS):
            member = await host.connect()
            await host.subscribe(member)
        await asyncio.sleep(0.05)

    host.run(connect())
    frame = client_frame(spoken.say(spoken.publish, room=ROOM, count=1))
    return lambda times: host.run(host.ask(clients[0], frame, _MEMBERS, times))


def _ours() -> Any:
    return server().asgi()


def _peer(module: str) -> Callable[[], Any]:
    return lambda: import_module(f"benchmarks.peers.{module}").app


_LANE, _STOCK = "lbproto.asgi.uvicorn:WebSocketProtocol", "websockets-sansio"
_ROWS: tuple[tuple[str, Callable[[], Any], str, str], ...] = (
    ("floor", _peer("raw_asgi"), _STOCK, "text"),
    ("lbproto", _ours, _LANE, "socketio"),
    ("lbproto-plain", _ours, _LANE, "plain"),
    ("lbproto-msgpack", _ours, _LANE, "msgpack"),
    ("lbproto-asgi", _ours, _STOCK, "socketio"),
    ("starlette", _peer("starlette_rooms"), _STOCK, "text"),
    ("fastapi", _peer("fastapi_orders"), _STOCK, "text"),
    ("python-socketio", _peer("python_socketio"), _STOCK, "events"),
)

OPERATIONS = (
    *(
        Operation(REQUEST, row, partial(_request, make, ws, wire), count=400)
        for row, make, ws, wire in _ROWS
    ),
    *(
        Operation(FANOUT, row, partial(_fanout, make, ws, wire), count=40)
        for row, make, ws, wire in _ROWS
        if row != "fastapi"
    ),
)
"""Both, by every server that Python runs."""
