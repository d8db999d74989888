"""A transport in memory that, like a server's own way, takes bytes without waiting."""

from __future__ import annotations

from collections.abc import Sequence

from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode
from websockets.protocol import CLIENT, Protocol

from lbproto.frame import Frame
from lbproto.transport import CloseCode
from tests.wire.kit import MemoryTransport


class SwiftTransport(MemoryTransport):
    """Ready, until it is paused or over; its bytes are read by the library that clients use.

    Attributes:
        writes: what `write` was called with.
        dead: whether the next `write` finds it closed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ready = True
        self.writes: list[bytes] = []
        self.dead = False
        self.write = self._take_bytes
        self._client = Protocol(CLIENT, max_size=None)

    def pause(self) -> None:
        if self.ready:
            super().pause()
            self._stop()

    def resume(self) -> None:
        if self._paused is not None:
            super().resume()
            self.ready = self.is_open

    def drop(self) -> None:
        """The peer is gone without a word."""
        self.failure = ConnectionResetError()
        self.resume()
        self._stop()

    async def send(self, frames: Sequence[Frame]) -> None:
        assert self.is_open
        await super().send(frames)

    async def close(self, code: CloseCode, reason: str) -> None:
        await super().close(code, reason)
        self._stop()

    def _stop(self) -> None:
        self.ready = False
        self.unready()

    def _take_bytes(self, data: bytes) -> None:
        assert self.ready
        if self.dead:
            raise RuntimeError("the transport is closed")
        self.writes.append(data)
        self._client.receive_data(data)
        for frame in self._client.events_received():
            assert isinstance(frame, WebSocketFrame)
            assert frame.fin
            payload = bytes(frame.data)
            self.messages.append(payload.decode() if frame.opcode is Opcode.TEXT else payload)
