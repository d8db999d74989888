"""An ASGI app that sends every websocket message back, by the fastest way that its server has."""

from __future__ import annotations

from contextlib import suppress

from lbproto.asgi.direct import open_websocket
from lbproto.asgi.types import Receive, Scope, Send
from lbproto.frame import Frame

__all__ = ["answer", "app"]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "websocket":
        await answer(receive, send)
        return
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    transport = open_websocket(scope, receive, send)
    with suppress(OSError):  # the peer has closed before it was answered
        while not isinstance(message := await transport.receive(), int):
            await transport.send([Frame.of([message])])


async def answer(receive: Receive, send: Send) -> None:
    """Everything that is not a websocket."""
    event = await receive()
    if event["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"websockets only"})
