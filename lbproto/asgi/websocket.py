"""A websocket as ASGI has it: the transport that frames are sent by, and the reading of one."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping, Sequence
from typing import Any

import anyio

from lbproto.asgi.types import Receive, Send
from lbproto.connection.base import Connection
from lbproto.frame import Frame, Message
from lbproto.transport import CloseCode, Transport

__all__ = ["ABNORMAL", "WebSocketTransport"]

logger = logging.getLogger(__name__)

ABNORMAL = 1006
"""What a websocket's end is called that the peer did not announce."""

_MAX_REASON = 123  # bytes in a close frame, RFC 6455 section 5.5


class WebSocketTransport(Transport):
    """An accepted websocket, by ASGI's `receive` and `send`."""

    __slots__ = ("_closing", "_open", "_reading", "_receive", "_send")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._open = True
        self._closing: anyio.Event | None = None  # set when the close has been sent
        self._reading: anyio.CancelScope | None = None

    async def send(self, frames: Sequence[Frame]) -> None:
        # For a peer that is gone a server raises OSError where it keeps to ASGI, Granian a
        # RuntimeError, hypercorn on trio a BusyResourceError if it closes while it sends.
        send = self._send
        for frame in frames:
            if frame.rendered is None:
                frame.rendered = tuple(map(_render, frame.messages))
            for event in frame.rendered:
                if not self._open:
                    raise ConnectionResetError("the websocket has been closed")
                try:
                    await send(event)
                except RuntimeError as error:
                    raise ConnectionResetError(str(error)) from error
                except OSError:
                    raise
                except Exception as error:
                    logger.warning("a websocket failed while sending, and is given up: %r", error)
                    await self.close(CloseCode.INTERNAL_ERROR, "internal error")
                    raise ConnectionResetError(str(error)) from error

    async def receive(self) -> Message | int:
        """The next message, or the code that the peer has closed with."""
        event = await self._receive()
        if event["type"] == "websocket.disconnect":
            code: int | None = event.get("code")
            return code or ABNORMAL
        text: str | None = event.get("text")
        message: Message = event["bytes"] if text is None else text
        return message

    async def serve(self, connection: Connection) -> None:
        """Deliver to a connection what the peer sends, until it is over."""
        try:
            await self._serve(connection)
        finally:
            # Also when the server ends this task, or its `receive` fails: nobody reads any more.
            connection.lost("transport close")
        # A server takes an app that returns for one that is done, and closes in its own words.
        await self.wait_closed()

    async def _serve(self, connection: Connection) -> None:
        with anyio.CancelScope() as self._reading:
            received: Message | int = ""
            while not isinstance(received, int):
                if connection.congested:
                    await connection.wait_ready()
                received = await self.receive()
                connection.deliver(received)
            self.lost()
        await connection.wait_closed()

    async def close(self, code: CloseCode, reason: str) -> None:
        if not self._open:
            return
        self._open = False
        self._closing = anyio.Event()
        if self._reading is not None:
            self._reading.cancel()  # Granian does not close while somebody receives
        told = reason.encode()[:_MAX_REASON].decode(errors="ignore")
        try:
            await self._send({"type": "websocket.close", "code": int(code), "reason": told})
        except Exception as error:  # noqa: BLE001 - every server has words of its own
            logger.debug("the peer could not be told of the end: %r", error)
        finally:
            self._closing.set()

    async def wait_closed(self) -> None:
        """Where a close is being sent, wait until it has been."""
        if self._closing is not None:
            await self._closing.wait()

    def lost(self) -> None:
        """The peer is gone: there is nobody to close towards."""
        self._open = False


def _render(message: Message) -> MutableMapping[str, Any]:
    """The ASGI event of one message: made once, sent to every recipient."""
    kind = "text" if isinstance(message, str) else "bytes"
    return {"type": "websocket.send", kind: message}
