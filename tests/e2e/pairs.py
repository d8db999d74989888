"""Two servers of one app, on uvloop and on trio, and stock clients of both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import pytest
import socketio

from tests.e2e.clients import SECONDS
from tests.serving import ServerProcess, serving

__all__ = ["Pair", "connecting", "serving_two"]

Pair = tuple[ServerProcess, ServerProcess]


@contextmanager
def serving_two(app: str, variable: str, value: str) -> Iterator[Pair]:
    """Serve an app twice, with a variable in its environment that says what is between the two."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(variable, value)
        with serving(app, "uvicorn-uvloop") as one, serving(app, "hypercorn-trio") as two:
            yield one, two


@asynccontextmanager
async def connecting(
    clients: Sequence[socketio.AsyncClient], nodes: Pair, users: Sequence[str]
) -> AsyncIterator[None]:
    """Connect the first client with the first node, and so on; they leave in the end."""
    try:
        for client, node, user in zip(clients, nodes, users, strict=True):
            await client.connect(
                node.http,
                auth={"token": f"token-{user}"},
                transports=["websocket"],
                wait_timeout=SECONDS,
            )
        yield
    finally:
        for client in clients:
            await client.disconnect()
