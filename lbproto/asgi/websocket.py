"""A websocket as ASGI has it: the transport that frames are sent by, and the reading of one."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping, Sequence
from typing import Any

import anyio

from lbproto.asgi.types import Receive, Send
from lbproto.connection.base import Connection
from lbproto.suspension import notify_suspension
from lbproto.transport import CloseCode, Frame, Message, Transport

__all__ = ["ABNORMAL", "WebSocketReader", "WebSocketTransport"]

logger = logging.getLogger(__name__)

ABNORMAL = 1006
"""What a websocket's end is called that the peer did not announce."""

_MAX_REASON = 123  # bytes in a close frame, RFC 6455 section 5.5


class WebSocketTransport(Transport):
    """An accepted websocket, by ASGI's `receive` and `send`.

    Attributes:
        receiving: the scope of whoever waits for a message, while they do; closing ends it.
    """

    __slots__ = ("_closing", "_open", "_receive", "_send", "receiving")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._open = True
        self._closing: anyio.Event | None = None  # set when the close has been sent
        self.receiving: anyio.CancelScope | None = None

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

    async def close(self, code: CloseCode, reason: str) -> None:
        if not self._open:
            return
        self._open = False
        self._closing = anyio.Event()
        if self.receiving is not None:
            self.receiving.cancel()  # Granian does not close while somebody receives
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


class WebSocketReader:
    """Reads from a connection's websocket and handles what comes, in one task where that will do.

    A request is handled by the task that read it. If its handler has to wait, another task goes on
    reading, so that heartbeats are answered and acknowledgements arrive; the requests read
    meanwhile wait in the inbox for the first task, which keeps them in order.
    """

    __slots__ = ("_connection", "_succeeded", "_transport")

    def __init__(self, connection: Connection, transport: WebSocketTransport) -> None:
        self._connection = connection
        self._transport = transport

    async def serve(self) -> None:
        """Serve the connection until it is over."""
        try:
            await self._read()
            await self._connection.wait_closed()
        finally:
            # Also when the server ends this task, or its `receive` fails: nobody reads any more.
            self._connection.lost("transport close")
            if self._transport.receiving is not None:
                self._transport.receiving.cancel()
        # A server takes an app that returns for one that is done, and closes in its own words.
        await self._transport.wait_closed()

    async def _read(self) -> None:
        """Read until the connection is over, or until a successor does."""
        with anyio.CancelScope() as scope:
            await self._read_within(scope)

    async def _read_within(self, scope: anyio.CancelScope) -> None:
        connection, transport = self._connection, self._transport
        while True:
            if connection.idle_work:
                self._succeeded = False
                await notify_suspension(connection.work(), self._succeed)
                if self._succeeded:
                    return
            if connection.congested:
                await connection.wait_ready()
            transport.receiving = scope
            received = await transport.receive()
            transport.receiving = None
            if isinstance(received, int):
                transport.lost()
                connection.left(received)
                return
            connection.receive(received)

    def _succeed(self) -> None:
        self._succeeded = True
        successor = WebSocketReader(self._connection, self._transport)
        self._connection.runtime.start_soon(successor._take_over)

    async def _take_over(self) -> None:
        try:
            await self._read()
        except Exception:
            # Not the server's fault, whose task this is.
            logger.exception("a websocket cannot be read from")
            self._connection.lost("transport close")
