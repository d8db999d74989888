"""Conversations of nodes that share a storage, and one that is out of reach."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from lbproto import Overloaded
from lbproto.backends.memory import MemoryStorage
from lbproto.testing import Client, VirtualClock, connect, serve, settle
from lbproto_chat import (
    Chat,
    ChatDelete,
    ChatError,
    ChatMessage,
    ChatResponse,
    Conversations,
    Question,
    Reply,
    chat,
)

pytestmark = pytest.mark.anyio


class Storage(MemoryStorage):
    """One that may be out of reach, and that no node opens or closes.

    Attributes:
        is_away: whether it is.
    """

    is_away = False

    async def get(self, key: str) -> bytes | None:
        self._reach()
        return await super().get(key)

    async def put(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        self._reach()
        await super().put(key, value, ttl=ttl)

    async def put_new(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        self._reach()
        return await super().put_new(key, value, ttl=ttl)

    async def delete(self, key: str) -> bool:
        self._reach()
        return await super().delete(key)

    def _reach(self) -> None:
        if self.is_away:
            raise Overloaded("the storage is away")


class Slow:
    """Answers when it is let.

    Attributes:
        go_on: lets it.
        asked: what it was asked.
    """

    def __init__(self) -> None:
        self.go_on = anyio.Event()
        self.asked: list[Question] = []

    async def answer(self, question: Question, reply: Reply) -> None:
        self.asked.append(question)
        await reply.say("Well, ")
        await self.go_on.wait()
        await reply.say(f"{question.text}.")


@pytest.fixture
def storage(clock: VirtualClock) -> Storage:
    return Storage(clock)


@asynccontextmanager
async def node(storage: Storage, **options: Any) -> AsyncIterator[tuple[Client, Slow]]:
    """A server on the storage's clock, and a client of it."""
    slow = Slow()
    plugin = chat(slow, conversations=Conversations(**options), timeout=None)
    async with (
        serve(plugin, storage=storage, clock=storage._clock) as server,
        connect(server, "ada") as client,
    ):
        yield client, slow


def ask(text: str) -> Chat:
    return Chat(conversation_id="c", message=text)


async def test_nodes_take_turns(storage: Storage, clock: VirtualClock) -> None:
    async with node(storage) as (one, first), node(storage) as (two, second):
        one.emit(ask("one"))
        await one.expect(ChatMessage, delta="Well, ")
        two.emit(ask("two"))
        await clock.advance(30)  # longer than any lease: it is renewed
        assert second.asked == []
        first.go_on.set()
        await one.expect(ChatResponse)
        second.go_on.set()
        await two.expect(ChatResponse, timeout=1)
        assert [each.answer for each in second.asked[0].history] == ["Well, one."]
        await one.take()
        await two.take()


async def test_a_turn_does_not_wait_for_ever(storage: Storage, clock: VirtualClock) -> None:
    async with node(storage) as (one, first), node(storage, patience=20) as (two, _):
        one.emit(ask("one"))
        await one.expect(ChatMessage)
        two.emit(ask("two"))
        assert (await two.expect(ChatError, timeout=25)).code == "OVERLOADED"
        two.emit(ChatDelete(conversation_id="c"))
        assert (await two.expect(ChatError, timeout=25)).code == "OVERLOADED"
        first.go_on.set()
        await one.expect(ChatResponse)
        await one.take()
        await two.take()


async def test_a_node_that_has_died_is_waited_for_as_long_as_its_lease(
    storage: Storage, clock: VirtualClock
) -> None:
    async with node(storage) as (one, first):
        one.emit(ask("one"))
        await one.expect(ChatMessage)
        key, lease = next(
            (folder + name, value)
            for folder, records in storage._folders.items()
            for name, value in records.items()
            if name == "turn"
        )
        assert lease
        await storage.put(key, b"another's", ttl=15)
        error = await one.expect(ChatError, timeout=6)  # its own turn is over: the lease is lost
        assert error.code == "OVERLOADED"
        one.emit(ask("two"))
        await settle()
        assert len(first.asked) == 1
        first.go_on.set()
        await one.expect(ChatResponse, timeout=20)
        assert first.asked[1].history == ()
        await one.take()


async def test_a_storage_that_is_out_of_reach(storage: Storage, clock: VirtualClock) -> None:
    async with node(storage) as (client, slow):
        storage.is_away = True
        client.emit(ask("one"))
        assert (await client.expect(ChatError)).code == "OVERLOADED"
        storage.is_away = False

        client.emit(ask("two"))
        await client.expect(ChatMessage)
        storage.is_away = True
        await clock.advance(6)  # a renewal fails, which the lease outlives
        slow.go_on.set()
        await client.expect(ChatResponse)  # it is not remembered, though
        storage.is_away = False
        await client.take()
        client.emit(ask("three"))
        await client.expect(ChatResponse, timeout=20)
        assert slow.asked[-1].history == ()
        await client.take()


async def test_one_that_stays_away_ends_the_turn(storage: Storage, clock: VirtualClock) -> None:
    async with node(storage) as (client, _):
        client.emit(ask("one"))
        await client.expect(ChatMessage)
        storage.is_away = True
        assert (await client.expect(ChatError, timeout=20)).code == "OVERLOADED"
        storage.is_away = False
        await client.take()


async def test_a_record_that_cannot_be_read_begins_anew(
    storage: Storage, clock: VirtualClock
) -> None:
    async with node(storage) as (client, slow):
        slow.go_on.set()
        for text in ("one", "two"):
            client.emit(ask(text))
            await client.expect(ChatResponse)
            keys = [
                folder + name
                for folder, records in storage._folders.items()
                if folder.startswith("lbproto-chat/")
                for name in records
            ]
            assert len(keys) == 1
            await storage.put(keys[0], b"{")
        assert slow.asked[1].history == ()
        await client.take()
