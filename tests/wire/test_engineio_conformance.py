"""Every case of the public Engine.IO v4 test suite, in our own words, against real servers."""

from __future__ import annotations

import anyio
import pytest

from lbproto.frame import Message
from tests.wire.clients import PATIENCE, Where
from tests.wire.engineio_cases import EngineIOCases

pytestmark = pytest.mark.anyio


@pytest.fixture
def where(server_address: str) -> Where:
    return Where(server_address, "/engine.io/")


@pytest.fixture
def anyio_backend() -> str:
    """The client's side only: the server has a process and an event loop of its own."""
    return "asyncio"


class TestSession(EngineIOCases):
    """What both suites have."""

    greeting = ("4hello", "4hello")


# Messages by polling


@pytest.mark.parametrize(
    "body",
    ["4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA=="],
    ids=["one text", "several texts", "text and binary"],
)
async def test_polling_sends_and_receives(where: Where, body: str) -> None:
    sid = await where.session()
    assert await where.post(sid, body) == (200, "ok")
    assert await where.poll(sid) == (200, body)


async def test_an_invalid_packet_ends_a_polling_session(where: Where) -> None:
    sid = await where.session()
    assert (await where.post(sid, "abc"))[0] == 400
    assert (await where.poll(sid))[0] == 400


async def test_two_polls_at_a_time_end_the_session(where: Where) -> None:
    sid = await where.session()
    answers: list[tuple[int, str]] = []

    async def poll() -> None:
        answers.append(await where.poll(sid))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(poll)
        tasks.start_soon(poll)
    (first, body), (second, _) = sorted(answers)
    assert (first, body, second) == (200, "1", 400)
    assert (await where.poll(sid))[0] == 400


async def test_a_poll_that_is_given_up_ends_the_session(where: Where) -> None:
    sid = await where.session()
    await _give_up(where, sid)
    with anyio.fail_after(PATIENCE):
        while await _give_up(where, sid):
            pass  # the machine is busy: the one before may not have come to the server
    assert (await where.poll(sid))[0] == 400


async def _give_up(where: Where, sid: str) -> bool:
    """Poll for a moment; whether there was no answer."""
    with anyio.move_on_after(0.1) as gave_up:
        await where.poll(sid)
    return gave_up.cancelled_caught


# Messages by websocket


@pytest.mark.parametrize(
    ("sent", "received"),
    [("4hello", "4hello"), (b"\x01\x02\x03\x04", b"\x01\x02\x03\x04")],
    ids=["text", "binary"],
)
async def test_a_websocket_sends_and_receives(
    where: Where, sent: Message, received: Message
) -> None:
    async with where.opened() as websocket:
        assert await websocket.ask(sent) == received


async def test_an_invalid_packet_closes_a_websocket(where: Where) -> None:
    async with where.opened() as websocket:
        await websocket.send("abc")
        assert await websocket.is_closed()


# Messages after an upgrade


async def test_an_upgraded_session_goes_on_talking(where: Where) -> None:
    sid = await where.session()
    assert await where.post(sid, "4before") == (200, "ok")
    assert await where.poll(sid) == (200, "4before")
    async with where.upgrading(sid) as websocket:
        assert await websocket.ask("5", "4hello") == "4hello"
        assert (await where.poll(sid))[0] == 400
        async with where.websocket(EIO="4", transport="websocket", sid=sid) as second:
            assert await second.is_closed()
        assert await websocket.ask("4still here") == "4still here"
