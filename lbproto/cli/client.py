"""A connection to a server: plain WebSocket, in JSON."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import (
    ConnectionClosed,
    InvalidStatus,
    InvalidURI,
    WebSocketException,
)
from websockets.typing import Subprotocol

from lbproto.cli.failure import Failure

__all__ = ["Client", "Heard", "connect", "default_token"]

_OPEN_SECONDS = 10
_CLOSE_SECONDS = 1
_MAX_MESSAGE = 64 * 1024 * 1024
_SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


class Heard(msgspec.Struct, omit_defaults=True):
    """An event from the server, as it is on the wire; `re` is the request that it answers."""

    event: str
    data: Any = None
    re: int | str | None = None

    @property
    def refusal(self) -> bool:
        """Whether it says that a request has failed: by the error envelope, with one exception."""
        if self.event == "insufficient_credits":
            return True
        return isinstance(self.data, dict) and {"code", "message"} <= self.data.keys()


_heard = msgspec.json.Decoder(Heard)


class Client:
    """An authenticated session.

    Args:
        socket: the open websocket.
        address: its URL.
    """

    def __init__(self, socket: ClientConnection, address: str) -> None:
        self._socket = socket
        self._address = address

    async def send(self, event: str, data: Any, id_: int | None = None) -> None:
        """Send a request; its answers carry `re: id_`.

        Raises:
            Failure: the connection is gone.
        """
        request = {"event": event, "data": data} | ({} if id_ is None else {"id": id_})
        try:
            await self._socket.send(msgspec.json.encode(request).decode())
        except ConnectionClosed as closed:
            raise self._gone(closed) from None

    async def receive(self) -> Heard:
        """The next event.

        Raises:
            Failure: the connection is gone, or what came is no event.
        """
        try:
            return _heard.decode(await self._socket.recv())
        except ConnectionClosed as closed:
            raise self._gone(closed) from None
        except msgspec.DecodeError:
            raise _no_server(self._address, "does not speak lbproto") from None

    def _gone(self, closed: ConnectionClosed) -> Failure:
        told = closed.rcvd
        if told is None:
            return Failure(f"the connection to {self._address} was lost: try again")
        why = f"{told.code}: {told.reason}" if told.reason else f"code {told.code}"
        return Failure(f"{self._address} closed the connection ({why}): try again")


@asynccontextmanager
async def connect(url: str, token: str) -> AsyncIterator[Client]:
    """Connect and authenticate.

    Args:
        url: the server's; `/ws` is added where it is not there.
        token: shown in the event `authenticate`, which takes any character (a header does not).

    Raises:
        Failure: nobody answers there, it is no lbproto server, or it refuses the token.
    """
    address = _address(url)
    socket = await _open(address)
    try:
        client = Client(socket, address)
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                await _authenticate(client, token)
        except TimeoutError:
            raise _no_server(address, "does not speak lbproto") from None
        yield client
    finally:
        await socket.close()


def default_token() -> str:
    """The token for the demo of whoever is logged in."""
    try:
        return f"demo-{getpass.getuser()}"
    except (OSError, KeyError):  # a user id without a name, as in containers
        return "demo-guest"


async def _authenticate(client: Client, token: str) -> None:
    await client.send("authenticate", {"token": token})
    while (heard := await client.receive()).event != "connected":
        if heard.refusal:
            # A real token is a secret, and stays off the screen.
            which = f"token {token}" if token == default_token() else "token"
            raise Failure(
                f"the server refuses the {which} ({heard.data['message']}): "
                "give yours with --token or in LBPROTO_TOKEN"
            )


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        scheme = _SCHEMES[parts.scheme]
        if not parts.hostname or (parts.port is not None and parts.port < 1):
            raise ValueError
    except (KeyError, ValueError):
        raise Failure(
            f"{url!r} is no address of a server: --url takes ws://localhost:8091"
        ) from None
    path = parts.path.rstrip("/")
    if not path.endswith("/ws"):
        path += "/ws"
    return parts._replace(scheme=scheme, path=path, fragment="").geturl()


async def _open(address: str) -> ClientConnection:
    try:
        return await connect_websocket(
            address,
            subprotocols=[Subprotocol("lbproto.v1.json")],
            compression=None,
            open_timeout=_OPEN_SECONDS,
            close_timeout=_CLOSE_SECONDS,
            max_size=_MAX_MESSAGE,
        )
    except InvalidStatus as answer:
        status = answer.response.status_code
        if status == 503:
            raise Failure(f"{address} takes no new connections now: try again later") from None
        raise _no_server(address, f"answers HTTP {status}") from None
    except InvalidURI:
        raise Failure(f"{address!r} is no address of a server") from None
    except ConnectionRefusedError:
        raise Failure(
            f"nobody listens at {address}: start a server there, or name another with --url"
        ) from None
    except TimeoutError:
        raise _no_server(address, "does not answer") from None
    except (OSError, WebSocketException, ImportError) as error:
        raise Failure(f"cannot connect to {address} ({error}): is --url right?") from None


def _no_server(address: str, what: str) -> Failure:
    return Failure(f"{address} {what}: name an lbproto server with --url")
