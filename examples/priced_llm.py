"""A language model behind a price: each word of its answer costs one credit.

lbproto serve priced_llm:server
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from msgspec import Meta

from lbproto import Context, Event, Plugin, Server, StaticTokens
from lbproto.ledger.memory import MemoryLedger


class Ask(Event):
    prompt: Annotated[str, Meta(min_length=1, max_length=4_000)]


class Token(Event):
    text: str


class Answered(Event):
    words: int


async def model(prompt: str) -> AsyncIterator[str]:
    """Put yours here; this one repeats what it is told."""
    for word in prompt.split():
        yield word


@asynccontextmanager
async def welcome(server: Server) -> AsyncIterator[None]:
    await server.credits.grant("alice", 5, "welcome", transaction_id="welcome")
    yield


plugin = Plugin("llm", lifespan=welcome)
plugin.emits(Token)


@plugin.on(Ask, price=1, weight=3)  # what is set aside at first; then what is charged counts
async def ask(ctx: Context, request: Ask) -> Answered:
    words = 0
    async for word in model(request.prompt):
        await ctx.charge(1)  # where nothing is left, the stream stops here
        ctx.emit(Token(word))
        words += 1
    return Answered(words)


server = Server([plugin], auth=StaticTokens({"secret": "alice"}), credits=MemoryLedger())
