from __future__ import annotations

from time import process_time

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproto_chat.semantic import Layer, Outside, Reader, Reading
from lbproto_chat.semantic.words import PHRASES
from lbproto_query_worker.guard import check

TABLES = {"trades", "bitcoin_block"}

HOSTILE = [
    "",
    " ",
    "\x00\x01\x02\x7f",
    "a" * 1_000_000,
    "how many trades " * 70_000,
    "9" * 1000,
    "trades over " + "9" * 900,
    "((((((((((((((((((((",
    "how many trades'; DROP TABLE trades; --",
    "SELECT count(*) FROM trades",
    "how many trades where 1=1 union select * from duckdb_settings()",
    "outputs to addresses starting with '; DROP TABLE trades; --",
    "“How many” \u2018trades\u2019 \"were\" '''there'''?",
    "how many trades\u202e\u200b\ufeff?",
    "πόσες συναλλαγές υπάρχουν;",
    "有多少笔交易?",
    "🤑" * 500,
    "trades on 2023-02-31",
    "trades on 9999-12-31",
    "trades after 29 February",
    "trades at 25:99",
    "trades in December 9999",
    "the 0th largest trade",
    "top 0 trades",
    "top 99999999999999999999999 trades",
    "trades per 0 seconds",
    "trades every 99999999999 minutes",
    "trades per 1000000 years",
    "trade 99999999999999999999999999999999999999999999",
    "transaction 99999999999999999999",
    "outputs over 99999999999999999999999999999999999999999999999999 BTC",
    "trades between 1e400 and 5 ETH",
    "not not not",
    "and and and",
    "by by by",
    "top top top 3 3 3",
]


@pytest.mark.parametrize("question", HOSTILE, ids=lambda each: repr(each[:24]))
def test_no_question_breaks_the_reader(
    reader: Reader, catalogue: duckdb.DuckDBPyConnection, question: str
) -> None:
    begun = process_time()
    read = reader.read(question, [question, question])
    # Seconds, where work that grows with the square of a megabyte would take days.
    assert process_time() - begun < 5
    if isinstance(read, Reading):
        check(catalogue, read.sql, TABLES)
        catalogue.execute(read.sql)


def test_a_long_question_is_refused_unread(reader: Reader) -> None:
    read = reader.read("how many trades " * 70)
    assert isinstance(read, Outside)
    assert "1,000 characters" in read.text


def test_what_refuses_a_question_repeats_little_of_it(reader: Reader) -> None:
    read = reader.read("x" * 900)
    assert isinstance(read, Outside)
    assert len(read.text) < 400


def test_a_text_from_a_question_is_one_literal(
    reader: Reader, catalogue: duckdb.DuckDBPyConnection
) -> None:
    read = reader.read("How many outputs went to addresses starting with o'brien's")
    assert isinstance(read, Reading)
    check(catalogue, read.sql, TABLES)
    assert catalogue.execute(read.sql).fetchall() == [(0,)]


def _words(layer: Layer) -> list[str]:
    """Words that have a meaning, and pieces that go with them."""
    own: list[str] = []
    for table in layer.tables:
        for declared in (table.entities, table.measures, table.metrics, table.dimensions):
            own += [word for each in declared for word in each.words]
    pieces = ["5", "0.5", "10 ETH", "2 BTC", "1667 USDT", "09:21", "30 seconds", "2023-02-02", "';"]
    return [*own, *(" ".join(phrase) for phrase in PHRASES), *pieces, "buy", "sell", "coinbase"]


@settings(max_examples=400)
@given(data=st.data())
def test_whatever_is_asked_is_one_select_of_the_catalogue(
    reader: Reader, layer: Layer, catalogue: duckdb.DuckDBPyConnection, data: st.DataObject
) -> None:
    word = st.one_of(st.sampled_from(_words(layer)), st.text(max_size=8))
    question = " ".join(data.draw(st.lists(word, max_size=9)))
    earlier = data.draw(st.sampled_from([[], ["how many buys per minute"], ["the largest output"]]))
    read = reader.read(question, earlier)
    readings = read.readings if not isinstance(read, Reading | Outside) else ()
    for each in (read, *readings):
        if isinstance(each, Reading):
            check(catalogue, each.sql, TABLES)
            catalogue.execute(f"DESCRIBE {each.sql}")
