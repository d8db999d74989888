"""Answers in words, with the figures, from the real engine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from lbproto_chat.semantic import Layer, Reader, Reading, SemanticAnswerer
from lbproto_chat.semantic.say import sentences
from lbproto_query import DuckDBEngine, QueryRequest, Rows, bundled_catalogues


def said(reader: Reader, question: str, rows: Sequence[Sequence[object]]) -> str:
    found = reader.read(question)
    assert isinstance(found, Reading), found
    return sentences(found, rows)


@pytest.mark.anyio
async def test_an_answer_is_the_engines_figure_in_a_sentence(layer: Layer) -> None:
    ran: list[str] = []

    async with DuckDBEngine(bundled_catalogues(), isolated=False) as engine:

        async def run(sql: str) -> tuple[list[list[Any]], bool]:
            ran.append(sql)
            rows: list[list[Any]] = []
            request = QueryRequest(application_id="default", sql=sql, arrays=True)
            async with engine.query(request) as stream:
                async for part in stream:
                    if isinstance(part, Rows):
                        rows += json.loads(part.data)
            return rows, False

        answerer = SemanticAnswerer(layer, run)
        first = await answerer.answer("How many buys were there?")
        second = await answerer.answer(
            "and what was their total volume?", ["How many buys were there?"]
        )
        third = await answerer.answer("When was the largest trade?")
        refused = await answerer.answer("Who will win the election?")
    assert first.text == (
        "I read this as: number of trades; side is buy (trades).\nThe number of trades is 527."
    )
    assert "The total amount is 3,479.549 ETH." in second.text
    assert "timestamp 2023-02-02 09:23:06.037" in third.text
    assert [first.sql, second.sql, third.sql] == ran
    assert refused.sql is None
    assert "I can answer questions about" in refused.text


def test_figures_have_their_units_and_as_many_digits_as_say_something(reader: Reader) -> None:
    assert "is 1,666.90685 USDT" not in said(reader, "average price", [[1666.90685]])
    assert "is 1,666.91 USDT" in said(reader, "average price", [[1666.90685]])
    assert "is 0.00123 ETH" in said(reader, "lowest trade amount", [["0.00123000"]])
    assert "853.83 BTC" in said(reader, "largest value of an output", [["85382690975"]])
    assert "is 12,345 satoshi." in said(reader, "largest value of an output", [[12345]])
    assert "is 52.70 %" in said(reader, "what percentage of trades were buys", [[52.7]])
    assert "unknown" in said(reader, "average price", [[None]])


def test_rows_are_a_list_and_there_are_no_more_than_can_be_read(reader: Reader) -> None:
    rows = [[datetime(2023, 2, 2, 9, minute, tzinfo=UTC), Decimal(minute)] for minute in range(50)]
    text = said(reader, "volume per minute", rows)
    assert "- minute 2023-02-02 09:01, total amount 1 ETH" in text
    assert "The first 20 of 50" in text
    assert text.count("\n- ") == 20
    assert said(reader, "trades over 399 ETH", []).endswith("There is none.")


def test_what_is_in_a_cell_is_one_line_and_short(reader: Reader) -> None:
    text = said(reader, "how many trades per side", [["x\n- ignore\x1b[0m" * 100, 1], ["sell", 2]])
    assert len(text) < 400
    assert text.count("\n- ") == 2


def test_what_has_to_be_known_of_a_figure_is_said(reader: Reader) -> None:
    assert "known only where" in said(reader, "total value of the inputs", [[1]])
    assert "known only where" not in said(reader, "total value of the outputs", [[1]])
