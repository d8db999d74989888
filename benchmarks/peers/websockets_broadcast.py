"""The websockets library with its own `broadcast`, on uvloop; `... websockets_broadcast PORT`."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

from benchmarks.peers.orders import answer
from benchmarks.peers.payload import text

rooms: defaultdict[str, set[ServerConnection]] = defaultdict(set)


async def connection(websocket: ServerConnection) -> None:
    try:
        async for message in websocket:
            await _serve(str(message), websocket)
    finally:
        for members in rooms.values():
            members.discard(websocket)


async def _serve(asked: str, websocket: ServerConnection) -> None:
    if asked[0] == "S":
        rooms[asked[2:]].add(websocket)
        await websocket.send("OK")
    elif asked[0] == "P":
        _, room, count, size = asked.split()
        for _ in range(int(count)):
            broadcast(rooms[room], text(int(size)))
    else:
        await websocket.send(answer(asked))


async def main() -> None:
    port = int(sys.argv[1])
    async with serve(connection, "127.0.0.1", port, compression=None, backlog=4096):
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    uvloop.run(main())
