"""An ASGI app that tells what it was told of a websocket, or refuses it in one of ASGI's ways."""

from __future__ import annotations

from typing import Any

import anyio
import msgspec

from lbproto.asgi.types import Receive, Scope, Send
from tests.e2e.echoing import answer

__all__ = ["app"]


class _Slow:
    """What has a websocket at `/slow` wait for its answer.

    A request for `/asked` is answered once there is such a websocket, and one for `/answer` has it
    answered.
    """

    def __init__(self) -> None:
        self._asked, self._answering = anyio.Event(), anyio.Event()

    async def wait(self) -> None:
        self._asked.set()
        await self._answering.wait()

    async def told(self, path: str | None) -> None:
        if path == "/asked":
            await self._asked.wait()
        elif path == "/answer":
            self._answering.set()
            self._asked, self._answering = anyio.Event(), anyio.Event()


_slow = _Slow()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "websocket":
        await _slow.told(scope.get("path"))
        await answer(receive, send)
        return
    assert (await receive())["type"] == "websocket.connect"
    match scope["path"]:
        case "/closed":
            await send({"type": "websocket.close"})
        case "/answered":
            headers = [(b"x-why", b"because")]
            await send({"type": "websocket.http.response.start", "status": 418, "headers": headers})
            await send({"type": "websocket.http.response.body", "body": b"a teapot"})
        case "/forgotten":
            return
        case _:
            await _tell(scope, receive, send)


async def _tell(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/slow":
        await _slow.wait()
    chosen = (scope["subprotocols"] or [None])[0]
    headers = [(b"x-more", b"told")]
    await send({"type": "websocket.accept", "subprotocol": chosen, "headers": headers})
    await send({"type": "websocket.send", "text": _shown(scope)})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


def _shown(scope: Scope) -> str:
    """What is the same whichever port and class serve it."""
    left_out = ("client", "server", "extensions", "state", "type")
    told: dict[str, Any] = {name: scope[name] for name in sorted(scope) if name not in left_out}
    return msgspec.json.encode(told, enc_hook=repr).decode()
