"""Jobs that take turns and close their output themselves: what a conversation needs of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from lbproto import ErrorEvent, Event, Job, Plugin, Server, Stages, UsageError
from lbproto.testing import connect, settle
from tests.core.harness import Sent, connected, make_server, running
from tests.core.recording import Nodes

pytestmark = pytest.mark.anyio


class Talk(Event):
    topic: str
    words: int = 2


class TalkStarted(Event):
    topic: str


class TalkWord(Event):
    talk_id: str
    number: int | None
    is_last: bool


class TalkStopped(Event):
    topic: str


class TalkDone(Event):
    talk_id: str


class TalkError(ErrorEvent):
    topic: str


def last_word(request: Talk, id_: str, count: int | None) -> TalkWord:
    return TalkWord(talk_id=id_, number=count, is_last=True)


TALK = Stages(
    start=TalkStarted,
    output=TalkWord,
    closing=last_word,
    before_terminal=TalkStopped,
    success=TalkDone,
    failure=TalkError,
    id="talk_id",
    group="topic",
    waiting=3,
)


class Hall:
    """Where talks go on until they are told to end.

    Attributes:
        over: by topic, lets the one that runs end.
        begun: the topics of those that have begun, in order.
    """

    def __init__(self) -> None:
        self.over: dict[str, anyio.Event] = {}
        self.begun: list[str] = []

    def plugin(self) -> Plugin:
        plugin = Plugin("hall")

        @plugin.job(Talk, stages=TALK)
        async def talk(job: Job[Talk]) -> TalkDone:
            over = anyio.Event()
            self.over[job.request.topic] = over
            self.begun.append(job.request.topic)
            for number in range(job.request.words):
                await job.send(TalkWord(talk_id=job.id, number=number, is_last=False))
            await over.wait()
            return TalkDone(talk_id=job.id)

        return plugin

    @asynccontextmanager
    async def running(self, **options: Any) -> AsyncIterator[Server]:
        async with running(self.plugin(), **options) as server:
            yield server


def shown(sent: list[Sent]) -> list[Any]:
    """Names, and what numbers words have."""
    return [
        (each.name, each.data["number"]) if "number" in each.data else each.name for each in sent
    ]


ALL = ["talk_started", ("talk_word", 0), ("talk_word", 1), ("talk_word", 2), "talk_stopped"]


async def test_its_last_output_is_made() -> None:
    hall = Hall()
    async with hall.running() as server:
        client = await connected(server)
        await client.send("talk", {"topic": "bees"})
        await settle()
        hall.over["bees"].set()
        await settle()
        sent = client.take()
    assert shown(sent) == [*ALL, "talk_done"]
    assert [each.data["isLast"] for each in sent if each.name == "talk_word"] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("words", [0, 2])
async def test_a_failure_closes_the_output_too(words: int) -> None:
    hall = Hall()
    async with hall.running() as server:
        client = await connected(server)
        await client.send("talk", {"topic": "bees", "words": words})
        await settle()
        await client.send("cancel", {"id": "bees"})
        await settle()
        sent = shown(client.take())
    assert sent[-3:] == [("talk_word", words), "talk_stopped", "talk_error"]
    assert sent[0] == "talk_started"


async def test_a_group_goes_one_at_a_time_in_order() -> None:
    hall = Hall()
    async with hall.running() as server:
        client = await connected(server)
        for words in (1, 2, 3, 4):
            await client.send("talk", {"topic": "bees", "words": words})
        await client.send("talk", {"topic": "owls"})
        await settle()
        assert sorted(hall.begun) == ["bees", "owls"]
        client.take()
        for expected in (2, 3, 4):
            hall.over["bees"].set()
            await settle()
            (_, _, done, start, *told) = client.take()
            assert (done.name, start.name, len(told)) == ("talk_done", "talk_started", expected)


async def test_more_may_not_wait_than_are_let() -> None:
    hall = Hall()
    async with hall.running() as server:
        client = await connected(server)
        for _ in range(6):
            await client.send("talk", {"topic": "bees"})
        await settle()
        refused = [each for each in client.take() if each.name == "talk_error"]
        assert [each.data["code"] for each in refused] == ["OVERLOADED", "OVERLOADED"]
        assert server.statistics().jobs == 4
        hall.over["bees"].set()
        await settle()
        await client.send("talk", {"topic": "bees"})
        await settle()
        assert server.statistics().jobs == 4


async def test_a_group_is_cancelled_whole_and_nothing_else() -> None:
    """Also before the tasks of its jobs have begun."""
    hall = Hall()
    async with hall.running() as server:
        ada, bob = await connected(server), await connected(server, "bob")
        await ada.send("talk", {"topic": "owls"})
        await ada.send("talk", {"topic": 5})
        await bob.send("talk", {"topic": "bees"})
        for _ in range(2):
            await ada.send("talk", {"topic": "bees"})
        await ada.send("cancel", {"id": "bees"})
        await settle()
        assert [each.data["topic"] for each in ada.take() if each.name == "talk_error"] == [
            "bees",
            "bees",
        ]
        assert sorted(hall.begun) == ["bees", "owls"]
        assert server.statistics().jobs == 2
        await ada.send("cancel", {"id": "bees"}, ack=1)
        await settle()
        assert ada.take()[-1].data["error"]["code"] == "NOT_FOUND"


async def test_one_that_waits_is_cancelled_by_its_failure_alone() -> None:
    hall = Hall()
    async with hall.running() as server:
        client = await connected(server)
        for _ in range(3):
            await client.send("talk", {"topic": "bees"}, ack=1)
        await settle()
        client.take()
        waiting = list(server._parts.jobs._by_user["ada"])[1]
        await client.send("cancel", {"id": waiting})
        await settle()
        assert [each.data["code"] for each in client.take() if each.name != "ack"] == ["CANCELLED"]
        hall.over["bees"].set()
        await settle()
        assert "talk_started" in [each.name for each in client.take()]


async def test_a_lost_one_is_closed_without_a_number() -> None:
    nodes = Nodes()
    hall = Hall()
    async with nodes.running(hall, dies=True) as (server, _):
        client = await connected(server)
        await client.send("talk", {"topic": "bees"})
        await settle()
    async with nodes.running(Hall()) as (server, _):
        client = await connected(server)
        await nodes.clock.advance(20)
        await settle()
        told = shown(client.take())
    assert told == [("talk_word", None), "talk_stopped", "talk_error"]


async def test_output_waits_for_less_to_read_where_it_is_told_to() -> None:
    plugin = Plugin("hall")
    sent = 0

    @plugin.job(Talk, stages=TALK)
    async def talk(job: Job[Talk]) -> TalkDone:
        nonlocal sent
        for number in range(job.request.words):
            await job.send(TalkWord(talk_id=job.id, number=number, is_last=False), ahead=1_000)
            sent += 1
        return TalkDone(talk_id=job.id)

    server = make_server(plugin)
    async with server.lifespan(), connect(server, "ada") as client:
        client.pause()
        client.emit(Talk(topic="bees", words=1_000))
        await settle()
        assert 5 < sent < 100
        client.resume_reading()
        await settle()
        assert sent == 1_000


@pytest.mark.parametrize(
    "wrong",
    [{"group": "nothing"}, {"output": None}, {"group": None}],
    ids=["group", "closing", "waiting"],
)
def test_stages_that_cannot_be(wrong: dict[str, Any]) -> None:
    fields = {name: getattr(TALK, name) for name in TALK.__dataclass_fields__}
    plugin = Plugin("hall")
    with pytest.raises(UsageError):

        @plugin.job(Talk, stages=Stages(**{**fields, **wrong}))
        async def talk(job: Job[Talk]) -> TalkDone:
            raise NotImplementedError
