"""One authenticated connection of a client's session."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import msgspec

from lbproto.client.address import Address
from lbproto.client.bounds import Bounds
from lbproto.client.codecs import CODECS, Codec, Heard, Wire
from lbproto.client.errors import Disconnected, refusal, refusal_in
from lbproto.client.payloads import PlainPayload
from lbproto.errors import RequestError, Unauthorized
from lbproto.messages import Authenticate, Connected, Error
from lbproto.scheduling.tasks import background_tasks
from lbproto.transport import CloseCode
from lbproto.wire.engineio import PONG
from lbproto.wire.settings import ProtocolError

if TYPE_CHECKING:
    from lbproto.client.websocket import WebSocket

__all__ = ["Credentials", "Link", "connect"]

_Milliseconds = Annotated[int, msgspec.Meta(ge=1, le=300_000)]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client authenticates with, and resumes by.

    Attributes:
        token: who it is.
        pid: the private id of the session it wants to go on with; None for a new one.
        offset: how far it has got there; None for no event yet.
    """

    token: str
    pid: str | None = None
    offset: str | None = None

    def as_data(self) -> dict[str, str]:
        """The credentials as a payload, without empty fields."""
        shown = {"token": self.token, "pid": self.pid, "offset": self.offset}
        return {name: value for name, value in shown.items() if value is not None}


class _Handshake(msgspec.Struct, rename="camel"):
    """What Engine.IO opens a connection with."""

    ping_interval: _Milliseconds
    ping_timeout: _Milliseconds


class _Place(msgspec.Struct):
    """What Socket.IO answers a client that is let in."""

    sid: str
    pid: str | None = None


class _Refusal(msgspec.Struct):
    message: str
    data: Any = None


class Link:
    """A connection whose client has been let in; made by `connect`.

    Attributes:
        connected: what the server greeted with.
        pid: the private id to resume the session by; None where the server does not keep any.
        reading: whether somebody reads; while nobody does, silence does not count.
    """

    def __init__(self, websocket: WebSocket, codec: Codec, where: str, bounds: Bounds) -> None:
        self.connected: Connected
        self.pid: str | None = None
        self.reading = True
        self._websocket = websocket
        self._codec = codec
        self._where = where
        self._interval, self._timeout = bounds.ping_interval, bounds.ping_timeout
        self._early: list[Heard] = []  # came with the server's word that the client may come in
        self._size = 0  # of messages that are not a whole packet yet
        self._failure: Exception | None = None  # to be raised after what came before it

    async def send(self, name: str, data: Any, id_: int | None = None) -> None:
        """Send a request; waits while much is yet to be written.

        Args:
            name: the event's.
            data: its payload: a struct or plain values.
            id_: what to call it; its answers carry it, or acknowledge it.

        Raises:
            Disconnected: the connection is over.
            TypeError: the payload cannot be sent.
        """
        self._websocket.queue(*self._codec.event(name, data, id_))
        await self._websocket.wait_room()

    def acknowledge(self, asked: int, data: Any) -> None:
        """Acknowledge an event that asked for it.

        Raises:
            Disconnected: the connection is over.
            TypeError: this cannot be sent.
        """
        self._websocket.queue(*self._codec.acknowledge(asked, data))

    async def receive(self) -> list[Heard]:
        """The next events and acknowledgements, at least one.

        Raises:
            Disconnected: the connection is over.
            ProtocolError: what came cannot be read.
        """
        heard, self._early = self._early, []
        while not heard:
            heard = [each for each in await self._receive() if each.kind in ("event", "ack")]
        return heard

    async def _receive(self) -> list[Heard]:
        if self._failure is not None:
            raise self._failure
        found: list[Heard] = []
        for message in await self._websocket.receive():
            try:
                heard = self._codec.receive(message)
            except ProtocolError as error:
                self._failure = ProtocolError(f"{self._where} does not speak lbproto: {error}")
                break
            self._size += len(message)
            if heard is None:
                continue
            heard.size, self._size = self._size, 0
            if heard.kind == "disconnect":
                code = CloseCode.POLICY_VIOLATION
                self._failure = Disconnected(f"{self._where} has ended the session", code)
                break
            if heard.kind == "ping":
                with suppress(Disconnected):  # then that is the next that is read
                    self._websocket.queue(PONG)
            found.append(heard)
        return found

    # Coming in

    async def come_in(self, credentials: Credentials) -> None:
        """Authenticate.

        Raises:
            Unauthorized: the server does not accept the token.
            Overloaded: it does not let the user in now.
            Disconnected: the connection was lost meanwhile.
            ProtocolError: the server says something else.
        """
        codec, auth = self._codec, credentials.as_data()
        if not codec.greets:
            self._websocket.queue(*codec.connect(auth))
        while True:
            heard = await self._receive()
            for number, each in enumerate(heard, start=1):
                try:
                    done = self._meet(each, auth)
                except ProtocolError as error:
                    told = f"{self._where} does not speak lbproto: {error}"
                    raise ProtocolError(told) from None
                if done:
                    self._early = [each] + [
                        late for late in heard[number:] if late.kind in ("event", "ack")
                    ]
                    return

    def _meet(self, heard: Heard, auth: dict[str, str]) -> bool:
        """Take what comes before the client is let in; whether it has been."""
        match heard.kind:
            case "open":
                times = heard.payload.into(_Handshake)
                self._interval = times.ping_interval / 1000
                self._timeout = times.ping_timeout / 1000
                self._websocket.queue(*self._codec.connect(auth))
            case "connect":
                self.pid = heard.payload.into(_Place).pid
            case "refused":
                raise _refused(heard)
            case "event" if heard.name == Connected.event_name:
                self.connected = heard.typed(Connected)
                self.pid = self.connected.pid if self.pid is None else self.pid
                return True
            case "event":
                self._hear_refusal(heard)
        return False

    def _hear_refusal(self, heard: Heard) -> None:
        """On plain WebSocket an event says that the client may not come in."""
        if heard.name != Error.event_name or self._codec.greets:
            return
        if heard.typed(Error).event == Authenticate.event_name:
            raise refusal(heard.payload)

    # Silence

    async def watch(self) -> None:
        """End the connection when the server has not said a word for too long."""
        while True:
            self._websocket.heard = False
            await anyio.sleep(self._interval)
            if not self._is_silent():
                continue
            if not self._codec.greets:  # with Socket.IO it is the server that pings
                self._websocket.ping()
            await anyio.sleep(self._timeout)
            if self._is_silent():
                await self._websocket.abort("was silent for too long")

    def _is_silent(self) -> bool:
        return self.reading and not self._websocket.heard

    def leave(self) -> None:
        """Tell the server that its session is to end; the websocket is closed after that."""
        with suppress(Disconnected):
            self._websocket.queue(*self._codec.disconnect())


def _refused(heard: Heard) -> RequestError:
    """Why Socket.IO does not let a client in; a server that is not lbproto's has no envelope."""
    told = heard.payload.into(_Refusal)
    data = PlainPayload(told.data, str_keys=True)
    known = refusal_in("", data, None) if isinstance(told.data, dict) else None
    return Unauthorized(told.message) if known is None else known


@asynccontextmanager
async def connect(
    address: Address,
    wire: Wire,
    credentials: Credentials,
    *,
    context: ssl.SSLContext | None = None,
    bounds: Bounds = Bounds(),  # noqa: B008 - it never changes
) -> AsyncIterator[Link]:
    """Connect and authenticate; the connection is closed at the end.

    Args:
        address: the server's, on this wire.
        wire: what is spoken.
        credentials: who the client is, and which session it had.
        context: for TLS; None for the system's trust.
        bounds: of what the server may do.

    Raises:
        Unauthorized: the server does not accept the token.
        Overloaded: it does not let the user in now.
        Disconnected: nothing answers there, or the connection was lost.
        ProtocolError: it is not an lbproto server.
    """
    from lbproto.client.websocket import open_websocket  # needs `lbproto[client]`

    codec = CODECS[wire](bounds.max_message)
    async with open_websocket(address, codec.subprotocol, context, bounds) as websocket:
        link = Link(websocket, codec, str(address), bounds)
        try:
            with anyio.fail_after(bounds.open_timeout):
                await link.come_in(credentials)
        except TimeoutError:
            raise ProtocolError(f"{address} does not speak lbproto: it stays silent") from None
        async with background_tasks() as tasks:
            tasks.start_soon(link.watch)
            yield link
