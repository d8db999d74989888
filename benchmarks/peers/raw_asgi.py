"""ASGI without a framework: the least that a Python program under an ASGI server can do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

from benchmarks.peers.orders import answer
from benchmarks.peers.payload import text

Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]

rooms: defaultdict[str, dict[Send, None]] = defaultdict(dict)


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[Message]], send: Send) -> None:
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    try:
        while (message := await receive())["type"] != "websocket.disconnect":
            await _serve(message["text"], send)
    finally:
        for members in rooms.values():
            members.pop(send, None)


async def _serve(asked: str, send: Send) -> None:
    if asked[0] == "S":
        rooms[asked[2:]][send] = None
        await send({"type": "websocket.send", "text": "OK"})
    elif asked[0] == "P":
        _, room, count, size = asked.split()
        for _ in range(int(count)):
            message = {"type": "websocket.send", "text": text(int(size))}
            for deliver in list(rooms[room]):
                await deliver(message)
    else:
        await send({"type": "websocket.send", "text": answer(asked)})
