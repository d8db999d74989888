"""Requests of the client: typed answers, typed refusals, and an end in any case."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from lbproto import (
    Client,
    InsufficientCredits,
    InvalidRequest,
    NotFound,
    RequestTimeout,
    UsageError,
)
from lbproto.client import Disconnected, Wire
from lbproto.messages import Ping, Pong, Subscribe, Subscribed
from tests.client.kit import (
    TWO_WIRES,
    WIRES,
    Confirm,
    Confirmed,
    Double,
    Doubled,
    Proxy,
    Say,
    Site,
    Sure,
    connected,
    running,
    served,
    server_of,
    until,
)

pytestmark = pytest.mark.anyio

wires = pytest.mark.parametrize("wire", WIRES)
two_wires = pytest.mark.parametrize("wire", TWO_WIRES)


@wires
async def test_answers_are_typed(wire: Wire) -> None:
    async with served(Site().plugin()) as url, connected(url, wire=wire) as client:
        assert client.user_id == "ada"
        assert client.sid
        assert await client.request(Double(number=4), Doubled) == Doubled(number=8)
        answer = await client.request(Double(number=4, raw=b"\x00\xff"), Doubled)
        assert (answer.raw, answer.times) == (b"\x00\xff\x00\xff", 2)
        assert isinstance(await client.request(Ping()), Pong)
        assert await client.request(Say(room="talk:a", text="hi")) is None


async def test_a_client_is_given_events_and_their_classes() -> None:
    async with served(Site().plugin()) as url, connected(url) as client:
        no_event: Any
        for no_event, shown in (
            ({"number": 4}, "a value of type dict"),
            (Double, "the class Double"),
        ):
            with pytest.raises(UsageError, match=rf"^emit takes an event, .*, not {shown}$"):
                await client.emit(no_event)
            with pytest.raises(UsageError, match=rf"^request takes an event, .*, not {shown}$"):
                await client.request(no_event)
        no_class: Any
        for no_class, shown in (
            ("doubled", "a value of type str"),
            (Double(number=4), "an instance of Double"),
        ):
            with pytest.raises(UsageError, match=rf"as in listen\(OrderPlaced\), not {shown}$"):
                client.listen(no_class)
            with pytest.raises(UsageError, match=rf"as in listen\(OrderPlaced\), not {shown}$"):
                await client.request(Double(number=4), no_class)


@wires
async def test_refusals_are_raised_as_what_they_are(wire: Wire) -> None:
    async with served(Site().plugin()) as url, connected(url, wire=wire) as client:
        with pytest.raises(InvalidRequest, match="only what is above nothing"):
            await client.request(Double(number=-1), Doubled)
        with pytest.raises(NotFound, match="There is no room of that name"):
            await client.request(Subscribe(room="nowhere"), Subscribed)
        with pytest.raises(InsufficientCredits) as short:
            await client.request(Double(number=2_000), Doubled)
        assert (short.value.required, short.value.available) == (1, 0)
        assert not short.value.code.retryable


async def test_an_answer_of_another_class_is_a_mistake() -> None:
    async with served(Site().plugin()) as url, connected(url) as client:
        with pytest.raises(UsageError, match="`doubled` answers `double`, not Pong"):
            await client.request(Double(number=1), Pong)
        with pytest.raises(UsageError, match="nothing answers `say`, not Pong"):
            await client.request(Say(room="talk:a", text="hi"), Pong)


async def test_an_answer_that_is_not_known_is_told() -> None:
    async with served(Site().plugin()) as url, connected(url) as client:
        with pytest.raises(UsageError, match="name its class in events="):
            await client.request(Double(number=1))
    async with served(Site().plugin()) as url, connected(url, events=[Doubled]) as client:
        assert await client.request(Double(number=1)) == Doubled(number=2)


async def test_requests_are_answered_each_by_its_own() -> None:
    async with served(Site().plugin()) as url, connected(url) as client:
        answers: dict[int, int] = {}

        async def ask(number: int) -> None:
            answers[number] = (await client.request(Double(number=number), Doubled)).number

        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(ask, number)
        assert answers == {number: 2 * number for number in range(100)}


async def test_one_that_is_not_answered_in_time() -> None:
    site = Site()
    site.hold()
    async with served(site.plugin()) as url, connected(url) as client:
        with pytest.raises(TimeoutError, match=r"`double` was not answered within 0.05 s"):
            await client.request(Double(number=1), Doubled, timeout=0.05)
        site.held.set()
        assert (await client.request(Double(number=2), Doubled)).number == 4


@asynccontextmanager
async def cut_off(site: Site, wire: Wire) -> AsyncIterator[Client]:
    """A client that loses its connection while its first number is doubled."""
    site.hold()
    async with (
        served(site.plugin()) as url,
        Proxy.before(url) as proxy,
        connected(proxy.url, wire=wire) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(proxy.cut_when, lambda: bool(site.doubled), site.held.set)
        yield client


@two_wires
async def test_one_whose_connection_is_lost_fails_at_once(wire: Wire) -> None:
    async with cut_off(Site(), wire) as client:
        with pytest.raises(Disconnected, match="was lost") as lost:
            await client.request(Double(number=1), Doubled)
        assert lost.value.retryable
        assert (await client.request(Double(number=2), Doubled)).number == 4


@two_wires
async def test_one_that_may_be_repeated_is_served_once(wire: Wire) -> None:
    site = Site()
    async with cut_off(site, wire) as client:
        answer = await client.request(Double(number=1), Doubled, repeat=True)
    assert (answer.number, site.doubled) == (2, {1: 1})


async def test_while_there_is_no_connection_it_waits_for_one() -> None:
    async with (
        served(Site().plugin()) as url,
        Proxy.before(url) as proxy,
        connected(proxy.url) as client,
    ):
        proxy.accepting = False
        proxy.cut()
        while client.is_connected:  # noqa: ASYNC110 - nothing tells of that
            await anyio.sleep(0.01)
        with pytest.raises(TimeoutError):
            await client.request(Double(number=1), Doubled, timeout=0.05)
        proxy.accepting = True
        assert (await client.request(Double(number=1), Doubled)).times == 1


async def test_outside_of_the_block_there_is_no_client() -> None:
    client = Client("ws://127.0.0.1:1")
    with pytest.raises(UsageError, match="not connected: async with"):
        await client.emit(Ping())
    async with served(Site().plugin()) as url, connected(url) as client:
        with pytest.raises(UsageError, match="a client connects once"):
            async with client:
                pass
    with pytest.raises(Disconnected, match="the client is closed"):
        await client.emit(Ping())


@wires
async def test_the_server_is_answered_too(wire: Wire) -> None:
    async def answer(question: Sure) -> Confirmed:
        if question.what == "fail":
            raise ValueError("what now?")
        return Confirmed(yes=question.what == "this")

    async with served(Site().plugin()) as url, connected(url, wire=wire) as client:
        with pytest.raises(RequestTimeout):
            await client.request(Confirm("this", within=0.2), Confirmed)
        client.acknowledge(Sure, answer)
        assert await client.request(Confirm("this"), Confirmed) == Confirmed(yes=True)
        assert await client.request(Confirm("that"), Confirmed) == Confirmed(yes=False)
        with pytest.raises(RequestTimeout):
            await client.request(Confirm("fail", within=0.2), Confirmed)
        with pytest.raises(UsageError, match="answered by another function"):
            client.acknowledge(Sure, answer)


async def leaves_in_anger(url: str) -> None:
    async with connected(url, wire="socketio-json") as client:
        assert client.is_connected
        raise ValueError("mine")


async def test_who_leaves_is_gone_at_once_and_their_errors_are_theirs() -> None:
    server = server_of(Site().plugin())
    async with running(server) as url:
        with pytest.raises(ValueError, match="mine"):
            await leaves_in_anger(url)
        await until(lambda: server.statistics().sessions == 0)
