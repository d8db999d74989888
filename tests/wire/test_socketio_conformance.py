"""Every case of the public Socket.IO v5 test suite, in our own words, against real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from lbproto.frame import Message
from tests.wire.clients import WebSocket, Where
from tests.wire.engineio_cases import EngineIOCases

pytestmark = pytest.mark.anyio

ZERO = '{"_placeholder":true,"num":0}'
ONE = '{"_placeholder":true,"num":1}'


@pytest.fixture
def where(server_address: str) -> Where:
    return Where(server_address, "/socket.io/")


@pytest.fixture
def anyio_backend() -> str:
    """The client's side only: the server has a process and an event loop of its own."""
    return "asyncio"


@asynccontextmanager
async def connected(where: Where) -> AsyncIterator[WebSocket]:
    """A websocket that is connected to the main namespace and has read its first event."""
    async with where.opened() as websocket:
        assert str(await websocket.ask("40")).startswith('40{"sid":"')
        assert await websocket.hear() == '42["auth",{}]'
        yield websocket


class TestSession(EngineIOCases):
    """What both suites have."""

    greeting = ("40", '40{"sid":"')


# Connecting


@pytest.mark.parametrize(
    ("packet", "address", "auth"),
    [
        ("40", "", "{}"),
        ('40{"token":"123"}', "", '{"token":"123"}'),
        ("40/custom,", "/custom,", "{}"),
        ('40/custom,{"token":"abc"}', "/custom,", '{"token":"abc"}'),
    ],
    ids=["main", "main with auth", "custom", "custom with auth"],
)
async def test_a_namespace_is_connected_to(
    where: Where, packet: str, address: str, auth: str
) -> None:
    async with where.opened() as websocket:
        reply = str(await websocket.ask(packet))
        assert reply.startswith("40" + address)
        body = msgspec.json.decode(reply.removeprefix("40" + address))
        assert body.keys() == {"sid"}
        assert isinstance(body["sid"], str)
        assert await websocket.hear() == f'42{address}["auth",{auth}]'


async def test_an_unknown_namespace_is_refused(where: Where) -> None:
    async with where.opened() as websocket:
        assert await websocket.ask("40/random") == '44/random,{"message":"Invalid namespace"}'


async def test_an_invalid_first_packet_closes(where: Where) -> None:
    async with where.opened() as websocket:
        await websocket.send("4abc")
        assert await websocket.is_closed()


async def test_who_does_not_connect_is_closed(where: Where) -> None:
    async with where.under("/waiting").opened() as websocket:
        assert await websocket.is_closed()  # though it answers every ping


# Disconnecting


async def test_the_main_namespace_is_left_in_silence(where: Where) -> None:
    async with connected(where.under("/asking")) as websocket:
        await websocket.send("41")
        assert await websocket.receive() == "2"


async def test_a_custom_namespace_is_left_for_itself(where: Where) -> None:
    async with connected(where) as websocket:
        assert str(await websocket.ask("40/custom")).startswith('40/custom,{"sid":"')
        assert await websocket.hear() == '42/custom,["auth",{}]'
        await websocket.send("41/custom")
        assert await websocket.ask('42["message","to main"]') == '42["back","to main"]'


# Messages

EXCHANGES: dict[str, tuple[list[Message], list[Message]]] = {
    "text": (
        ['42["message",1,"2",{"3":[true]}]'],
        ['42["back",1,"2",{"3":[true]}]'],
    ),
    "binary": (
        [f'452-["message",{ZERO},{ONE}]', b"\x01\x02\x03", b"\x04\x05\x06"],
        [f'452-["back",{ZERO},{ONE}]', b"\x01\x02\x03", b"\x04\x05\x06"],
    ),
    "text with an ack": (
        ['42456["message",1,"2",{"3":[false]}]'],
        ['43456[1,"2",{"3":[false]}]'],
    ),
    "binary with an ack": (
        [f'452-789["message",{ZERO},{ONE}]', b"\x01\x02\x03", b"\x04\x05\x06"],
        [f"462-789[{ZERO},{ONE}]", b"\x01\x02\x03", b"\x04\x05\x06"],
    ),
}


@pytest.mark.parametrize(("sent", "received"), EXCHANGES.values(), ids=EXCHANGES)
async def test_a_message_comes_back(
    where: Where, sent: list[Message], received: list[Message]
) -> None:
    async with connected(where) as websocket:
        await websocket.send(*sent)
        assert [await websocket.hear() for _ in received] == received


@pytest.mark.parametrize(
    "packet",
    ["4abc", "42{}", '42abc["message",1,"2",{"3":[false]}]'],
    ids=["unknown type", "invalid payload", "invalid ack id"],
)
async def test_an_invalid_packet_closes(where: Where, packet: str) -> None:
    async with connected(where) as websocket:
        await websocket.send(packet)
        assert await websocket.is_closed()
