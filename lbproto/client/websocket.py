"""One WebSocket, on any event loop: whole messages, and a bound for every byte that comes.

The protocol itself is that of `websockets`, which does no I/O there; the streams are anyio's.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import anyio
from anyio.abc import ByteStream
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidMessage, InvalidStatus, InvalidURI
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from lbproto.client.address import Address
from lbproto.client.bounds import Bounds
from lbproto.client.errors import ABNORMAL, Disconnected
from lbproto.errors import UsageError
from lbproto.frame import Message
from lbproto.scheduling.tasks import background_tasks
from lbproto.scheduling.wakeup import Wakeup
from lbproto.transport import CloseCode
from lbproto.wire.settings import ProtocolError

__all__ = ["WebSocket", "client_protocol", "open_websocket"]

_READ_BYTES = 65_536
_LATER = frozenset({429, 500, 502, 503, 504})
"""HTTP statuses that say nothing about the next time."""

_GONE = (OSError, anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)

# What the protocol would log when debugging has every frame in it, and so the token.
_logger = logging.getLogger(__name__)
_logger.setLevel(logging.INFO)


class WebSocket:
    """An open WebSocket; made by `open_websocket`.

    Attributes:
        heard: whether anything came since this was last set to False.
    """

    def __init__(self, stream: ByteStream, protocol: ClientProtocol, where: str, most: int) -> None:
        self.heard = False
        self._stream = stream
        self._protocol = protocol
        self._where = where
        self._most = most
        self._unsent = bytearray()
        self._wake = Wakeup()
        self._writing = False
        # A frame that is cut off by a cancellation would be followed by rubbish.
        self._writer = anyio.CancelScope(shield=True)
        self._drained = anyio.Event()
        self._part = bytearray()  # of a message in several frames
        self._is_text = False
        self._early: list[Message] = []  # came with the answer to the handshake
        self._lost = "was lost"

    # Messages

    def queue(self, *messages: Message) -> None:
        """Have messages written soon.

        Raises:
            Disconnected: the websocket is being closed.
        """
        if self._protocol.state is not State.OPEN:
            raise self._end()
        for message in messages:
            if isinstance(message, str):
                self._protocol.send_text(message.encode())
            else:
                self._protocol.send_binary(message)
        self._write_soon()

    async def wait_room(self) -> None:
        """Wait while too much is yet to be written."""
        while len(self._unsent) > self._most:
            await self._drained.wait()

    def ping(self) -> None:
        """Ask for a sign of life."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_ping(b"")
            self._write_soon()

    async def receive(self) -> list[Message]:
        """The next messages, at least one.

        Raises:
            Disconnected: the websocket is closed, or lost.
            ProtocolError: what came is not a WebSocket frame, or too large a message.
        """
        messages, self._early = self._early, []
        while not messages:
            if self._protocol.state is not State.OPEN:
                raise self._end()
            await self.wait_room()  # what is read may have to be answered
            messages = await self._read()
        return messages

    async def abort(self, reason: str) -> None:
        """End it without a word; `receive` then raises `Disconnected` for this reason."""
        self._lost = reason
        with suppress(*_GONE):
            await self._stream.aclose()

    # The handshake, and the end

    async def shake_hands(self, subprotocol: str | None) -> None:
        """Make the stream a websocket.

        Raises:
            Disconnected: the server does not want that, or not now.
            ProtocolError: it is not a WebSocket server, or not one of this subprotocol.
        """
        protocol = self._protocol
        protocol.send_request(protocol.connect())
        self._collect()
        await self._flush()
        while protocol.state is State.CONNECTING and protocol.handshake_exc is None:
            self._early += await self._read()
        if protocol.handshake_exc is not None:
            raise self._refused(protocol.handshake_exc)
        if protocol.subprotocol != subprotocol:
            raise ProtocolError(f"{self._where} does not speak {subprotocol}")

    def _refused(self, error: Exception) -> Exception:
        where = self._where
        if isinstance(error, InvalidStatus):
            status = error.response.status_code
            after = error.response.headers.get("Retry-After", "")
            seconds = float(after) if after.isdecimal() and len(after) < 9 else None
            told = "takes no new connections now" if status == 503 else f"answers HTTP {status}"
            return Disconnected(f"{where} {told}", retryable=status in _LATER, retry_after=seconds)
        if isinstance(error, InvalidMessage) and isinstance(error.__cause__, EOFError):
            return Disconnected(f"{where} closed the connection at once")
        return ProtocolError(f"{where} does not speak WebSocket ({error})")

    async def leave(self) -> None:
        """Close it in order: what is queued goes out before."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.NORMAL)
            self._write_soon()
        while self._unsent or self._writing:
            await self._drained.wait()
        while self._protocol.state is State.CLOSING and self._protocol.close_rcvd is None:
            await self._read()

    def stop(self) -> None:
        """Write nothing more, and let go on who waits for room."""
        self._writer.cancel()
        self._unsent.clear()
        self._tell_drained()

    def _end(self) -> Exception:
        """Why it is closed."""
        error, closed = self._protocol.parser_exc, self._protocol.close_rcvd
        if error is not None and not isinstance(error, EOFError):
            return ProtocolError(f"{self._where} breaks the WebSocket protocol ({error})")
        if closed is None:
            return Disconnected(f"the connection to {self._where} {self._lost}", ABNORMAL)
        why = f"{closed.code}: {closed.reason}" if closed.reason else f"code {closed.code}"
        return Disconnected(f"{self._where} closed the connection ({why})", closed.code)

    # Bytes

    async def _read(self) -> list[Message]:
        try:
            data = await self._stream.receive(_READ_BYTES)
        except _GONE:
            self._protocol.receive_eof()
        else:
            self.heard = True
            self._protocol.receive_data(data)
        self._write_soon()
        return [
            message
            for event in self._protocol.events_received()
            if isinstance(event, Frame) and (message := self._message(event)) is not None
        ]

    def _message(self, frame: Frame) -> Message | None:
        """The message that a frame completes."""
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._is_text = frame.opcode is Opcode.TEXT
        elif frame.opcode is not Opcode.CONT:
            return None
        self._part += frame.data
        if not frame.fin:
            return None
        data, self._part = self._part, bytearray()
        try:
            return data.decode() if self._is_text else bytes(data)
        except UnicodeDecodeError:
            raise ProtocolError(f"{self._where} sends text that is not UTF-8") from None

    def _collect(self) -> None:
        for data in self._protocol.data_to_send():
            self._unsent += data

    def _write_soon(self) -> None:
        self._collect()
        if self._unsent:
            self._wake.set()

    async def write(self) -> None:
        """Write what is queued, until it is told to stop."""
        with self._writer:
            try:
                while True:
                    await self._wake.wait()
                    await self._flush()
            except _GONE:
                self._writing = False
                await self.abort("was lost")
                self.stop()

    async def _flush(self) -> None:
        while self._unsent:
            data = bytes(self._unsent)
            self._unsent.clear()
            self._writing = True
            await self._stream.send(data)
            self._writing = False
            self._tell_drained()

    def _tell_drained(self) -> None:
        drained, self._drained = self._drained, anyio.Event()
        drained.set()


@asynccontextmanager
async def open_websocket(
    address: Address,
    subprotocol: str | None,
    context: ssl.SSLContext | None,
    bounds: Bounds,
) -> AsyncIterator[WebSocket]:
    """Connect to a server; the websocket is closed at the end.

    Args:
        address: where.
        subprotocol: what has to be agreed on; None for nothing.
        context: for TLS; None for the system's trust.
        bounds: of everything.

    Raises:
        Disconnected: nobody answers there, or they do not want to.
        ProtocolError: what answers is not a WebSocket server.
        UsageError: no request can be made for this address.
    """
    protocol = client_protocol(address, subprotocol, bounds.max_message)
    async with AsyncExitStack() as stack:
        try:
            with anyio.fail_after(bounds.open_timeout):
                stream = await _connect(address, context)
                stack.push_async_callback(_close, stream, bounds.close_timeout)
                websocket = WebSocket(stream, protocol, str(address), bounds.max_unsent)
                await websocket.shake_hands(subprotocol)
        except Disconnected:
            raise
        except TimeoutError:
            raise Disconnected(f"{address} does not answer") from None
        except _GONE as error:
            raise Disconnected(f"the connection to {address} was lost") from error
        async with background_tasks() as tasks:
            tasks.start_soon(websocket.write)
            try:
                yield websocket
            finally:
                with anyio.move_on_after(bounds.close_timeout, shield=True):
                    await websocket.leave()
                websocket.stop()


def client_protocol(address: Address, subprotocol: str | None, max_message: int) -> ClientProtocol:
    """What knows the protocol; see `open_websocket`."""
    try:
        uri = parse_uri(address.url)
    except InvalidURI as error:
        raise UsageError(f"{address} is not a server address ({error})") from None
    offered = None if subprotocol is None else [Subprotocol(subprotocol)]
    return ClientProtocol(uri, subprotocols=offered, max_size=max_message, logger=_logger)


async def _close(stream: ByteStream, seconds: float) -> None:
    with anyio.move_on_after(seconds, shield=True), suppress(*_GONE):
        await stream.aclose()


async def _connect(address: Address, context: ssl.SSLContext | None) -> ByteStream:
    if address.secure and context is None:
        context = ssl.create_default_context()
    try:
        if not address.secure:
            return await anyio.connect_tcp(address.host, address.port)
        return await anyio.connect_tcp(
            address.host,
            address.port,
            ssl_context=context,
            tls_hostname=address.host,
            tls_standard_compatible=False,
        )
    except ssl.SSLError as error:
        if isinstance(error, ssl.SSLCertVerificationError):
            told = f"the certificate of {address} is not trusted ({error.verify_message})"
        else:
            told = f"{address} does not speak TLS ({error.reason})"
        raise Disconnected(told, retryable=False) from None
    except (OSError, UnicodeError) as error:
        raise _unreached(address, error) from None


def _unreached(address: Address, error: Exception) -> Disconnected:
    causes = [error.__cause__, *getattr(error.__cause__, "exceptions", ())]
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Disconnected(f"nothing listens at {address}")
    why = next((cause for cause in causes if isinstance(cause, OSError)), error)
    return Disconnected(f"cannot connect to {address} ({why})")
