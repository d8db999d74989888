"""Nodes of one application for the tests of a pub/sub, and what each of them receives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream

from lbproto.backends.base import PubSub

__all__ = ["PATIENCE", "Inbox", "MakePubSub", "Nodes", "NodesSuite"]

MakePubSub = Callable[[], PubSub]
"""Makes a pub/sub that is not entered yet; those that a test makes are nodes of one application."""

Nodes = tuple[PubSub, PubSub, PubSub]
"""Nodes of one application, entered."""

PATIENCE = 60.0
"""Seconds until a message is taken for lost, however busy the machine is."""


class Inbox:
    """What one node receives."""

    def __init__(self, stream: MemoryObjectReceiveStream[tuple[str, bytes | None]]) -> None:
        self._stream = stream

    @classmethod
    @asynccontextmanager
    async def of(cls, node: PubSub) -> AsyncIterator[Inbox]:
        """Read a node's messages inside the `async with`."""
        send, receive = anyio.create_memory_object_stream[tuple[str, bytes | None]](100_000)

        async def read() -> None:
            async for message in node.messages():
                send.send_nowait(message)

        with send, receive:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read)
                yield cls(receive)
                tasks.cancel_scope.cancel()

    async def take(self) -> tuple[str, bytes]:
        """The next message.

        Raises:
            TimeoutError: none came in time.
            AssertionError: one is lost.
        """
        channel, payload = await self.take_any()
        assert payload is not None, f"something is lost of {channel!r}"
        return channel, payload

    async def take_any(self) -> tuple[str, bytes | None]:
        """The next message, or the next that is lost: None.

        Raises:
            TimeoutError: none came in time.
        """
        with anyio.fail_after(PATIENCE):
            return await self._stream.receive()

    def take_nowait(self) -> list[tuple[str, bytes | None]]:
        """Whatever there is by now."""
        taken = []
        while self._stream.statistics().current_buffer_used:
            taken.append(self._stream.receive_nowait())
        return taken


class NodesSuite:
    """What the parts of the suite share."""

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def make_pubsub(self) -> MakePubSub:
        """The pub/sub under test; nobody else uses its channels."""
        raise NotImplementedError

    @pytest.fixture
    async def nodes(self, make_pubsub: MakePubSub) -> AsyncIterator[Nodes]:
        """Three nodes that run."""
        async with make_pubsub() as one, make_pubsub() as two, make_pubsub() as three:
            yield one, two, three
