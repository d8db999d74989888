"""ASGI lifespans: the server's own, and that of the fallback app behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import anyio

from lbproto.asgi.types import ASGIApp, Receive, Scope, Send
from lbproto.tasks import background_tasks

__all__ = ["host_lifespan", "serve_lifespan"]


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

    Args:
        app: the host.
        state: filled with what its lifespan gives to its requests.

    Raises:
        RuntimeError: the host failed to start, or to stop; the message is its own.
    """
    scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}
    inbox_send, inbox = anyio.create_memory_object_stream[MutableMapping[str, Any]](2)
    outbox, outbox_receive = anyio.create_memory_object_stream[MutableMapping[str, Any]](4)

    async def run() -> None:
        # By the ASGI spec an app that raises has no lifespan.
        with outbox, suppress(Exception):
            await app(scope, inbox.receive, outbox.send)

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
