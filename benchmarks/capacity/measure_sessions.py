"""What a session costs two nodes: to begin, to wait, and to go on on the other one."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from benchmarks.rows import Row
from benchmarks.servers import Running, running
from lbproto.load import ServerProcess, Usage
from tests.ledger.servers import Valkey

__all__ = ["sessions", "usage_of"]

_FIRST = 40  # that have the servers load and allocate what all need
_AT_ONCE = 16
_QUIET = 1.0  # seconds
_LETS_GO = 3.0  # seconds: longer than a session that goes on elsewhere counts where it was
_PATIENCE = 20.0
_ROW = Row(
    "lbproto-node",
    "lbproto, as a node",
    (
        *(sys.executable, "-m", "uvicorn", "benchmarks.capacity.durable:app", "--port", "{port}"),
        *("--ws", "lbproto.asgi.uvicorn:WebSocketProtocol", "--loop", "uvloop"),
        *("--ws-per-message-deflate", "false", "--log-level", "warning", "--backlog", "4096"),
    ),
)


def usage_of(process: ServerProcess) -> Usage:
    """What a process has used.

    Raises:
        OSError: the system does not tell.
    """
    usage = process.usage()
    if usage is None:
        raise OSError("what a process uses is not known: that takes Linux")
    return usage


class _Client:
    """A Socket.IO client that resumes, and asks for nothing.

    Args:
        number: which.
    """

    def __init__(self, number: int) -> None:
        self._auth: dict[str, Any] = {"token": f"demo-{number:036d}"}
        self._socket: ClientConnection

    async def come(self, server: Running) -> bool:
        """Connect, with whatever session there was; whether it goes on."""
        url = f"{server.url}/socket.io/?EIO=4&transport=websocket"
        self._socket = await connect(url, compression=None)
        await self._socket.recv()
        await self._socket.send(f"40{json.dumps(self._auth)}")
        pid = json.loads((await self._socket.recv())[2:])["pid"]
        goes_on = bool(self._auth.get("pid") == pid)
        event = json.loads((await self._socket.recv())[2:])
        self._auth |= {"pid": pid, "offset": event[-1]}
        return goes_on

    async def lose(self) -> None:
        """Be gone without a word."""
        self._socket.transport.abort()
        await self._socket.wait_closed()


async def _each(clients: Iterable[_Client], act: Callable[[_Client], Awaitable[object]]) -> None:
    """Have all do something, a few at a time."""
    free = asyncio.Semaphore(_AT_ONCE)

    async def one(client: _Client) -> None:
        async with free, asyncio.timeout(_PATIENCE):
            await act(client)

    async with asyncio.TaskGroup() as tasks:
        for client in clients:
            tasks.create_task(one(client))


async def sessions(valkey: Valkey, many: int) -> dict[str, float]:
    """What was found, by the names of `UnitCosts`.

    Args:
        many: clients.

    Raises:
        OSError: the system does not tell what a process uses.
        ValueError: a session did not go on.
    """
    broker = ServerProcess(valkey.pid)
    with running(_ROW) as one, running(_ROW) as other:
        first = [_Client(number) for number in range(many, many + _FIRST)]
        await _each(first, lambda client: client.come(one))
        await _each(first[: _FIRST // 2], lambda client: client.come(other))
        await asyncio.sleep(_LETS_GO)
        processes = one.process, other.process, broker
        kept = int(valkey.command("INFO", "memory")["used_memory"])
        clients = [_Client(number) for number in range(many)]
        began = [usage_of(each) for each in processes]
        await _each(clients, lambda client: client.come(one))
        await asyncio.sleep(_QUIET)
        there = [usage_of(each) for each in processes]
        kept = int(valkey.command("INFO", "memory")["used_memory"]) - kept
        moved: list[bool] = []

        async def move(client: _Client) -> None:
            await client.lose()
            moved.append(await client.come(other))

        await _each(clients, move)
        await asyncio.sleep(_LETS_GO)
        gone = [usage_of(each) for each in processes]
    if not all(moved):
        raise ValueError(f"{moved.count(False)} of {many} sessions did not go on")
    begun = [_us(after - before, many) for before, after in zip(began, there, strict=True)]
    resumed = [_us(after - before, many) for before, after in zip(there, gone, strict=True)]
    return {
        "connect_us": begun[0],
        "broker_connect_us": begun[2],
        "connection_bytes": (there[0].resident - began[0].resident) / many,
        "broker_session_bytes": kept / many,
        "move_us": resumed[1],
        "moved_us": resumed[0],
        "broker_move_us": resumed[2],
    }


def _us(usage: Usage, many: int) -> float:
    """Of each."""
    return usage.on_cpu / many * 1e6
