"""The websocket over a stream that takes nothing: what is to be answered is bounded too."""

from __future__ import annotations

import anyio
import pytest
from anyio.abc import ByteStream

from lbproto.asgi.handshake import acceptance, read_handshake
from lbproto.client.address import Address
from lbproto.client.bounds import Bounds
from lbproto.client.websocket import WebSocket, client_protocol

pytestmark = pytest.mark.anyio

PINGS = (b"\x89\x7d" + b" " * 125) * 500


class Deaf(ByteStream):
    """A server that shakes hands, then pings without end and never reads.

    Attributes:
        pinged: bytes of pings that were read from it.
    """

    def __init__(self) -> None:
        self.pinged = 0
        self._answer = b""

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        await anyio.lowlevel.checkpoint()
        answer, self._answer = self._answer, b""
        self.pinged += 0 if answer else len(PINGS)
        return answer or PINGS

    async def send(self, item: bytes) -> None:
        handshake = read_handshake(item)
        if handshake is None:
            await anyio.sleep_forever()
        else:
            self._answer = acceptance(handshake, [])

    async def send_eof(self) -> None:
        pass

    async def aclose(self) -> None:
        pass


async def test_pings_that_cannot_be_answered_are_not_read() -> None:
    stream, bounds = Deaf(), Bounds(max_unsent=100_000)
    protocol = client_protocol(Address.of("ws://h", socketio=True), None, bounds.max_message)
    websocket = WebSocket(stream, protocol, "h", bounds.max_unsent)
    await websocket.shake_hands(None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(websocket.write)
        with anyio.move_on_after(0.2) as scope:
            await websocket.receive()
        websocket.stop()
    assert scope.cancelled_caught
    assert 0 < stream.pinged < 4 * len(PINGS)
