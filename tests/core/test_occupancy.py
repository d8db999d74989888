"""A plugin knows whether anybody is in its rooms."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from lbproto import Context, NotFound, Plugin, Recovery, UsageError
from lbproto.testing import VirtualClock, settle
from tests.core.harness import Client, connected, running
from tests.core.sessions import come, lose, request

pytestmark = pytest.mark.anyio

LOST = "the connection is lost"


class Watched:
    """Rooms `topic:{name}`, and what their plugin was told of them."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bool]] = []
        self.gate = anyio.Event()
        self.gate.set()
        self.failing = False

    def plugin(self) -> Plugin:
        plugin = Plugin("watched")

        @plugin.room("topic:{name}", announce=False, occupancy=self.tell)
        async def join(_ctx: Context, name: str) -> None:
            await self.gate.wait()
            if name == "none":
                raise NotFound("There is no such topic")

        @plugin.room("plain:{name}", announce=False)
        async def plain(_ctx: Context, name: str) -> None: ...

        return plugin

    def tell(self, occupied: bool, name: str) -> None:
        self.told.append((name, occupied))
        if self.failing:
            raise ZeroDivisionError

    def take(self) -> list[tuple[str, bool]]:
        told, self.told = self.told, []
        return told


@pytest.fixture
def watched() -> Watched:
    return Watched()


async def _subscribe(client: Client, name: str) -> None:
    await client.ask("subscribe", {"room": f"topic:{name}"})


async def test_the_first_who_comes_and_the_last_who_leaves(watched: Watched) -> None:
    async with running(watched.plugin()) as server:
        ada, bob = await connected(server), await connected(server, "bob")
        await _subscribe(ada, "news")
        assert watched.take() == [("news", True)]
        await _subscribe(ada, "news")
        await _subscribe(bob, "news")
        await bob.ask("subscribe", {"room": "plain:news"})
        await ada.ask("unsubscribe", {"room": "topic:news"})
        assert watched.take() == []
        await bob.ask("unsubscribe", {"room": "topic:news"})
        assert watched.take() == [("news", False)]
        await bob.ask("unsubscribe", {"room": "topic:news"})
        await _subscribe(ada, "sports")
        ada.close()
        assert watched.take() == [("sports", True), ("sports", False)]


async def test_who_is_refused_has_not_come(watched: Watched) -> None:
    async with running(watched.plugin()) as server:
        await _subscribe(await connected(server), "none")
        assert watched.take() == []


async def test_who_is_gone_before_it_was_in_has_not_come(watched: Watched) -> None:
    async with running(watched.plugin()) as server, anyio.create_task_group() as tasks:
        client = await connected(server)
        watched.gate = anyio.Event()
        tasks.start_soon(_subscribe, client, "news")
        await settle()
        client.close()
        watched.gate.set()
        await settle()
        assert watched.take() == []


async def test_kicks_and_bans_are_told(watched: Watched) -> None:
    async with running(watched.plugin()) as server:
        await _subscribe(await connected(server), "news")
        await server.kick("ada", "topic:news")
        assert watched.take() == [("news", True), ("news", False)]


async def test_a_lost_connection_counts_during_its_grace(
    watched: Watched, clock: VirtualClock
) -> None:
    recovery = Recovery(window=120, grace=15)
    async with running(watched.plugin(), clock=clock, recovery=recovery) as server:
        client = await connected(server)
        await _subscribe(client, "news")
        assert watched.take() == [("news", True)]
        client.close(LOST)
        await clock.advance(14)
        assert watched.take() == []
        await clock.advance(2)
        assert watched.take() == [("news", False)]
        await clock.advance(120)  # its end is no second going
        assert watched.take() == []


async def test_who_comes_back_after_the_grace_has_come(
    watched: Watched, clock: VirtualClock
) -> None:
    async with running(watched.plugin(), clock=clock) as server:
        client = await come(server)
        client.told += await request(server, client, "subscribe", room="topic:news")
        lose(server, client)
        await clock.advance(20)
        assert watched.take() == [("news", True), ("news", False)]
        again = await come(server, **client.resume)
        assert again.session is not None
        assert again.socket.sid == client.socket.sid
        assert watched.take() == [("news", True)]


async def test_the_end_of_the_server_empties_its_rooms(watched: Watched) -> None:
    async with running(watched.plugin()) as server:
        await _subscribe(await connected(server), "news")
        watched.take()
    assert watched.take() == [("news", False)]


async def test_what_a_plugin_raises_harms_nobody(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.failing = True
    async with running(watched.plugin()) as server:
        client = await connected(server)
        with caplog.at_level(logging.ERROR):
            answers = await client.ask("subscribe", {"room": "topic:news"})
        assert [sent.name for sent in answers] == ["subscribed"]
        assert "topic:news" in caplog.text
        assert "ZeroDivisionError" in caplog.text


async def _coroutine(occupied: bool, name: str) -> None: ...


@pytest.mark.parametrize(
    "function",
    [
        lambda occupied: None,
        lambda occupied, room: None,
        _coroutine,
        "no function",
    ],
    ids=["too few", "another name", "async", "no function"],
)
async def test_what_is_told_must_be_able_to_listen(function: Callable[..., Any]) -> None:
    plugin = Plugin("wrong")

    async def join(_ctx: Context, name: str) -> None: ...

    with pytest.raises(UsageError, match=r"\(occupied: bool, name: str\)"):
        plugin.room("topic:{name}", occupancy=function)(join)
