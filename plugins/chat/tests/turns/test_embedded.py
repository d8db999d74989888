"""Answers from a layer, by the query engine: what its limits have cut is not told as all of it."""

from __future__ import annotations

import pytest

from lbproto import NotFound
from lbproto_chat import EmbeddedAnswerer, Layer, Question
from lbproto_query import DuckDBEngine, Limits, bundled_catalogues

pytestmark = pytest.mark.anyio


class Said:
    """A reply that is written down."""

    def __init__(self) -> None:
        self.text = ""
        self.sql = ""
        self.used_words = (0, 0)

    async def say(self, text: str, tokens: int = 0) -> None:
        self.text += text

    def ran(self, sql: str) -> None:
        self.sql = sql

    def used(self, prompt: int, completion: int) -> None:
        self.used_words = prompt, completion


async def said(text: str, application_id: str = "default", rows: int = 1_000) -> Said:
    """The answer about the data that come with the query plugin."""
    catalogues = bundled_catalogues()
    layer = Layer.load(catalogues.find("default").files[0].with_name("layer.toml"))
    reply = Said()
    async with DuckDBEngine(catalogues, isolated=False) as engine:
        answerer = EmbeddedAnswerer(engine, {"default": layer}, limits=Limits(rows=rows))
        await answerer.answer(Question(text=text, application_id=application_id), reply)
    return reply


async def test_a_figure_its_statement_and_its_words() -> None:
    reply = await said("How many trades were there?")
    assert reply.text.endswith("The number of trades is 1,000.")
    assert reply.sql == 'SELECT count(*) FROM "trades"'
    assert reply.used_words == (5, len(reply.text.split()))


@pytest.mark.parametrize(("rows", "count"), [(1_000, "1,000"), (999, "999 or more")])
async def test_rows_that_were_cut_are_not_all(rows: int, count: str) -> None:
    assert f"\nThe first 20 of {count}:\n" in (await said("list the trades", rows=rows)).text


async def test_another_application_has_nothing_to_talk_about() -> None:
    with pytest.raises(NotFound):
        await said("How many trades were there?", "bank")
