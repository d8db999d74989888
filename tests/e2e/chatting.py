"""A server that answers about the bundled data; what begins with "count" is counted for ever."""

from __future__ import annotations

from itertools import count

import anyio

from lbproto import Plugin, Server, StaticTokens
from lbproto_chat import EmbeddedAnswerer, Layer, Question, Reply, chat
from lbproto_query import DuckDBEngine, bundled_catalogues
from tests.e2e.app import USERS
from tests.e2e.probe import probe


class Counting:
    """Counts, or has somebody else answer.

    Attributes:
        other: who answers everything else.
    """

    def __init__(self, other: EmbeddedAnswerer) -> None:
        self.other = other

    async def answer(self, question: Question, reply: Reply) -> None:
        if not question.text.startswith("count"):
            await self.other.answer(question, reply)
            return
        for number in count():
            await reply.say(f"{number} ", 1)
            await anyio.sleep(0.002)


def chatting() -> Plugin:
    catalogues = bundled_catalogues()
    engine = DuckDBEngine(catalogues, isolated=False)
    layer = Layer.load(catalogues.find("default").files[0].with_name("layer.toml"))
    answerer = Counting(EmbeddedAnswerer(engine, {"default": layer}))
    return chat(answerer, resources=engine)


app = Server([chatting(), probe()], auth=StaticTokens(USERS)).asgi()
