"""ASGI lifespans: the server's own, and that of the fallback app behind it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio

from lbproto.asgi.types import ASGIApp, Receive, Scope, Send
from lbproto.scheduling.tasks import background_tasks

__all__ = ["host_lifespan", "serve_lifespan"]

logger = logging.getLogger(__name__)

_Message = MutableMapping[str, Any]


async def serve_lifespan(
    lifespan: Callable[[], AbstractAsyncContextManager[None]], receive: Receive, send: Send
) -> None:
    """Serve an ASGI lifespan scope by an async context manager."""
    await receive()
    phase = "startup"
    try:
        async with lifespan():
            await send({"type": "lifespan.startup.complete"})
            phase = "shutdown"
            await receive()
    except BaseException as error:
        await send({"type": f"lifespan.{phase}.failed", "message": repr(error)})
        raise
    await send({"type": "lifespan.shutdown.complete"})


@asynccontextmanager
async def host_lifespan(app: ASGIApp, state: dict[str, Any]) -> AsyncIterator[None]:
    """Run a host app's lifespan around the body. A host that has none is fine.

    One that raises in it, and does not say by a message that it has failed, is logged; by the ASGI
    spec it is served all the same.

    Args:
        app: the host.
        state: filled with what its lifespan gives to its requests.

    Raises:
        RuntimeError: the host failed to start, or to stop; the message is its own.
    """
    scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}
    inbox_send, inbox = anyio.create_memory_object_stream[_Message](2)
    outbox, outbox_receive = anyio.create_memory_object_stream[_Message](4)
    heard = said = ""  # what the host has been told, and has told, last

    async def receive() -> _Message:
        nonlocal heard
        message = await inbox.receive()
        heard = message["type"]
        return message

    async def send(message: _Message) -> None:
        nonlocal said
        said = message["type"]
        await outbox.send(message)

    async def run() -> None:
        with outbox:
            try:
                await app(scope, receive, send)
            except Exception as error:
                if not heard:
                    logger.info("the host app has no lifespan: %r", error)
                elif not said.endswith(".failed"):
                    logger.exception("the host app failed in its lifespan, and is served on")

    async def step(name: str) -> None:
        await inbox_send.send({"type": f"lifespan.{name}"})
        try:
            answer = await outbox_receive.receive()
        except anyio.EndOfStream:
            return
        if answer["type"] == f"lifespan.{name}.failed":
            raise RuntimeError(answer.get("message") or f"the host app failed at {name}")

    with inbox_send, inbox, outbox_receive:
        async with background_tasks() as tasks:
            tasks.start_soon(run)
            await step("startup")
            yield
            await step("shutdown")
