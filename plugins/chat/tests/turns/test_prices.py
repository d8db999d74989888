"""What a turn costs: reserved by estimate, paid by what was delivered."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from lbproto import Event, LimitExceeded, Server
from lbproto.ledger.memory import MemoryLedger
from lbproto.messages import Cancel, CreditsDeducted, CreditsInsufficient
from lbproto.testing import Client, connect, serve, settle
from lbproto_chat import (
    Chat,
    ChatError,
    ChatMessage,
    ChatResponse,
    ChatStopTyping,
    Question,
    Reply,
    TokenPrice,
    Usage,
    chat,
)

pytestmark = pytest.mark.anyio

RATE = TokenPrice(prompt=0, completion=1, overhead=0, expected=10)
ASKED = Chat(conversation_id="c", message="Hi")


class Speaker:
    """An answerer that does what the test has it do; counts the answers that it began and ended."""

    def __init__(self, speak: Callable[[Reply], Awaitable[None]]) -> None:
        self.speak = speak
        self.begun = self.ended = 0

    async def answer(self, question: Question, reply: Reply) -> None:
        self.begun += 1
        try:
            await self.speak(reply)
        finally:
            self.ended += 1


@asynccontextmanager
async def paying(
    speaker: Speaker, amount: int, price: TokenPrice | int = RATE
) -> AsyncIterator[tuple[Server, Client]]:
    """A server, and a client that has so many credits."""
    plugin = chat(speaker, price=price)
    async with (
        serve(plugin, credits=MemoryLedger()) as server,
        connect(server, "ada") as client,
    ):
        await server.credits.grant("ada", amount, "a gift")
        await client.take()
        yield server, client
        await client.take()


async def balance(server: Server) -> int:
    await settle()
    return (await server.credits.balance("ada")).available


async def hello(reply: Reply) -> None:
    await reply.say("Hello")


async def test_what_was_used_is_paid_and_no_more() -> None:
    async def speak(reply: Reply) -> None:
        await reply.say("x" * 40)
        reply.used(100, 13)

    async with paying(Speaker(speak), 100) as (server, client):
        client.emit(ASKED)
        assert (await client.expect(CreditsDeducted)).amount == 13
        assert await balance(server) == 87


async def test_a_turn_that_cannot_be_paid_does_not_begin() -> None:
    speaker = Speaker(hello)
    async with paying(speaker, 9) as (server, client):
        client.emit(ASKED)
        assert (await client.expect(CreditsInsufficient)).required == 10
        assert speaker.begun == 0
        assert await balance(server) == 9


async def test_credits_that_are_used_up_in_the_middle_end_the_turn() -> None:
    async def speak(reply: Reply) -> None:
        for _ in range(10):
            await reply.say("a word or two", 5)
            for _ in range(50):  # until it is delivered
                await anyio.lowlevel.checkpoint()

    speaker = Speaker(speak)
    async with paying(speaker, 22) as (server, client):
        client.emit(ASKED)
        told: list[Event] = []
        while not (told and isinstance(told[-1], ChatError)):
            told += await client.take()
        deltas = [event.delta for event in told if isinstance(event, ChatMessage)]
        assert "".join(deltas) == "a word or two" * 4
        assert any(isinstance(event, CreditsInsufficient) for event in told)
        assert isinstance(told[-2], ChatStopTyping)
        assert told[-1].code == "INSUFFICIENT_CREDITS"
        assert await balance(server) == 2
        assert speaker.ended == 1


async def test_a_cancelled_turn_is_paid_as_far_as_it_was_delivered() -> None:
    async def speak(reply: Reply) -> None:
        await reply.say("three tokens", 3)
        await anyio.sleep_forever()

    async with paying(Speaker(speak), 100) as (server, client):
        client.emit(ASKED)
        await client.expect(ChatMessage)
        client.emit(Cancel(id="c"))
        await client.expect(ChatError)
        assert await balance(server) == 97


async def test_a_failure_before_any_output_costs_nothing() -> None:
    async def speak(reply: Reply) -> None:
        raise LimitExceeded("no")

    async with paying(Speaker(speak), 100) as (server, client):
        client.emit(ASKED)
        await client.expect(ChatError)
        assert await balance(server) == 100


async def test_a_flat_price() -> None:
    async with paying(Speaker(hello), 10, price=7) as (server, client):
        client.emit(ASKED)
        await client.expect(ChatResponse)
        assert await balance(server) == 3


def test_prices_are_rounded_up_once() -> None:
    price = TokenPrice(prompt=2, completion=6, per=1_000)
    assert [price.of(Usage(0, 0)), price.of(Usage(1, 0)), price.of(Usage(1_000, 500))] == [0, 1, 5]
    assert price.estimate(Chat(conversation_id="c", message="x" * 400)) == 3
