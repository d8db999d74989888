"""Starlette, as its documentation has it: a set of websockets and a loop over it."""

from __future__ import annotations

from collections import defaultdict

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from benchmarks.peers.orders import answer
from benchmarks.peers.payload import text

rooms: defaultdict[str, set[WebSocket]] = defaultdict(set)


async def connection(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await _serve(await websocket.receive_text(), websocket)
    except WebSocketDisconnect:
        for members in rooms.values():
            members.discard(websocket)


async def _serve(asked: str, websocket: WebSocket) -> None:
    if asked[0] == "S":
        rooms[asked[2:]].add(websocket)
        await websocket.send_text("OK")
    elif asked[0] == "P":
        _, room, count, size = asked.split()
        for _ in range(int(count)):
            message = text(int(size))
            for member in list(rooms[room]):
                await member.send_text(message)
    else:
        await websocket.send_text(answer(asked))


app = Starlette(routes=[WebSocketRoute("/", connection)])
