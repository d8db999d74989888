"""Asking a client: its answer, and what becomes of the question where there is none."""

from __future__ import annotations

import anyio
import msgspec
import pytest

from lbproto import (
    RequestTimeout,
    Server,
)
from lbproto.errors import InvalidRequest
from lbproto.testing import VirtualClock, settle
from lbproto.wire import Inbound
from lbproto.wire.arguments import JSONArguments, ObjectArguments
from tests.core.harness import FORMATS
from tests.core.sessions import (
    Connected,
    Note,
    Rooms,
    come,
    lose,
    serve,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("wire", FORMATS)
async def test_a_client_is_asked_and_answers(rooms: Rooms, clock: VirtualClock, wire: str) -> None:
    server = serve(rooms, clock)
    async with server.lifespan(), anyio.create_task_group() as tasks:
        client = await come(server, format_=FORMATS[wire])
        tasks.start_soon(request_nudge, server, client)
        await settle()
        id_ = asked(client)
        answer = ObjectArguments([{"liked": False}])
        server.sessions.acknowledged(client.socket, 999, answer)  # nobody asked that
        server.sessions.acknowledged(client.socket, id_, answer)
        await settle()
        assert client.take()[-1].data == {"number": 0}
        server.sessions.acknowledged(client.socket, id_, answer)  # once is enough
        assert server._acknowledgements._open == {}


async def request_nudge(server: Server, client: Connected) -> None:
    await server.sessions.event(client.socket, Inbound("nudge", JSONArguments([]), None))


def asked(client: Connected) -> int:
    """The id of the event that the client is asked to acknowledge."""
    (message,) = client.socket.outbox.take()[-1].messages
    if isinstance(message, bytes):
        packet = msgspec.msgpack.decode(message)
    elif message.startswith("42"):
        number = message[2 : message.index("[")]
        packet = {"id": int(number)}
        assert len(msgspec.json.decode(message[2 + len(number) :])) == 2  # no offset
    else:
        packet = msgspec.json.decode(message)
    assert "offset" not in packet
    id_: int = packet["id"]
    return id_


async def test_a_client_that_does_not_answer(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan(), anyio.create_task_group() as tasks:
        client = await come(server)
        tasks.start_soon(request_nudge, server, client)
        await clock.advance(4.9)
        assert [sent.name for sent in client.take()] == ["opinion"]
        await clock.advance(0.1)
        (refused,) = client.take()
        assert refused.data["code"] == "TIMEOUT"
        server.sessions.acknowledged(client.socket, 1, ObjectArguments([]))  # too late


async def test_a_client_that_is_lost_while_it_is_asked(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan():
        client = await come(server)
        session = client.session
        async with anyio.create_task_group() as tasks:
            failures: list[BaseException] = []

            async def ask() -> None:
                try:
                    await server.emit_with_ack(session, Note(number=1), dict)
                except RequestTimeout as error:
                    failures.append(error)

            tasks.start_soon(ask)
            await settle()
            lose(server, client)
            await settle()
            assert len(failures) == 1
            await ask()  # while it is away
        assert len(failures) == 2
        again = await come(server, **client.resume)
        assert again.names == ["connected", "recovered"]  # it is not asked again


async def test_an_answer_that_does_not_fit(rooms: Rooms, clock: VirtualClock) -> None:
    server = serve(rooms, clock)
    async with server.lifespan(), anyio.create_task_group() as tasks:
        client = await come(server)
        session = client.session
        failures: list[str] = []

        async def ask() -> None:
            with pytest.raises(InvalidRequest) as failure:
                await server.emit_with_ack(session, Note(number=1), int)
            failures.append(failure.value.message)

        tasks.start_soon(ask)
        await settle()
        id_ = asked(client)
        server.sessions.acknowledged(client.socket, id_, ObjectArguments(["no number"]))
        await settle()
        assert failures == ["Expected `int`, got `str`"]
