"""How questions are read: what is said of it, what is asked back, what is refused and why."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from lbproto import UsageError
from lbproto_chat.semantic import Ambiguous, Layer, Outside, Reader, Reading
from lbproto_query_worker.guard import check


def read(reader: Reader, question: str, *history: str) -> Reading:
    found = reader.read(question, history)
    assert isinstance(found, Reading), found
    return found


def test_a_reading_says_how_the_question_was_taken(reader: Reader) -> None:
    found = read(reader, "What was the avarage price of buys over 10 ETH after 09:22?")
    assert found.says == (
        "average price; side is buy; amount over 10 ETH; from 2023-02-02 09:22; "
        "“avarage” taken as “average” (trades)"
    )


def test_what_is_counted_of_a_group_is_said_with_its_label(reader: Reader) -> None:
    assert "over 10 buy trades" in read(reader, "minutes with more than 10 buys").says


def test_what_fits_two_tables_is_asked_back_with_both_named(reader: Reader) -> None:
    found = reader.read("What is the total value?")
    assert isinstance(found, Ambiguous)
    assert [each.table for each in found.readings] == ["trades", "bitcoin_block"]
    assert "total turnover (trades)" in found.text
    assert "total value; side is out (bitcoin_block)" in found.text


def test_within_a_conversation_it_is_the_table_last_asked_about(reader: Reader) -> None:
    found = read(reader, "What is the total value?", "How many outputs are there?")
    assert found.table == "bitcoin_block"


def test_a_number_without_a_unit_is_of_the_measure_that_has_such_values(reader: Reader) -> None:
    assert "price over 1667" in read(reader, "how many trades over 1667").says
    assert "amount over 5" in read(reader, "how many trades over 5").says


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ("How many dogecoin trades were there?", "“dogecoin”"),
        ("How many trades in January 2021?", "no data of January 2021"),
        ("trades after 2024-01-01", "no data of 2024-01-01"),
        ("How many traders were there?", "“traders”"),
        ("What is the total price?", "“total price”"),
        ("top trades by weekday", "“weekday”"),
    ],
)
def test_a_refusal_says_why_and_what_there_are_answers_about(
    reader: Reader, question: str, why: str
) -> None:
    found = reader.read(question)
    assert isinstance(found, Outside)
    assert why in found.text
    assert "1,000 trades of ETH/USDT" in found.text
    assert "block 481824" in found.text


@pytest.mark.parametrize(
    "question",
    [
        "buys that are sells and outputs",
        "outputs that were spent",
        "transactions with more than 3 spent outputs",
        "how many trades at 12 34 56",
        "price of the ten",
        "the first output",
        "ratio of buys",
        "outputs per input",
        "total vwap",
        "average number of trades",
        "not",
        "average price of the first and last trade",
        "biggest buy and biggest sell",
        "addresses that are in both inputs and outputs",
        "volume by price",
        "trade count for 9:20, 9:21",
        "highest output index",
        "inputs that spend outputs",
        "the 5 trades per minute",
        "How many trades at 1667 1668",
    ],
)
def test_what_cannot_be_made_is_refused_rather_than_guessed(reader: Reader, question: str) -> None:
    assert isinstance(reader.read(question), Outside)


@pytest.mark.parametrize(
    ("history", "question", "sql"),
    [
        (["how many buys per minute?"], "and sells?", "'sell'"),
        (["volume per minute"], "by side", 'GROUP BY date_trunc(\'minute\', "timestamp"), "side"'),
        (["largest trade"], "and the smallest?", "ORDER BY amount NULLS LAST"),
        (["5 largest buys"], "top 3", "LIMIT 3"),
        (["average price of buys"], "and the amount?", "avg(amount)"),
        (["trades over 10 ETH"], "only those over 20 ETH", "amount > 20"),
        (["how many trades after 09:22"], "and before that?", "<"),
        (["What was the highest price?"], "when?", "ORDER BY price DESC"),
        (["How many outputs over 1 BTC?"], "list them", "value_sat > 100000000"),
        (["share of buys"], "by volume", "sum(amount) FILTER"),
        (["top 3 trades"], "by price", 'ORDER BY price DESC NULLS LAST, "id" NULLS LAST LIMIT 3'),
        (["trades over 100 ETH"], "how many?", "SELECT count(*)"),
        (["How many buys were there?"], "what was their average price?", "'buy'"),
    ],
    ids=str,
)
def test_a_question_that_goes_on_takes_the_rest_from_the_one_before(
    reader: Reader, history: list[str], question: str, sql: str
) -> None:
    assert sql in read(reader, question, *history).sql


@pytest.mark.parametrize(
    ("question", "sql"),
    [
        ("average price of the 10 largest trades", "FROM (SELECT * FROM"),
        ("biggest trade in each minute", "max(amount)"),
        ("which trade had the lowest price", "ORDER BY price NULLS LAST"),
        ("5 highest prices", "ORDER BY price DESC"),
        ("third largest trade", "LIMIT 1 OFFSET 2"),
        ("price of trade 1206420016", '("id" = 1206420016)'),
        ("which two minutes had the highest volume", "LIMIT 2"),
        ("how many transactions have 2 outputs", "= 2"),
        ("what is the largest number of trades in a second", 'max("value")'),
        ("how many transactions excluding the coinbase", "IS NOT TRUE"),
        ("how many non-segwit outputs", "IS NOT TRUE"),
        ("smallest non-zero output value", "value_sat > 0"),
        ("how much money was spent buying ETH", "sum((price"),
        ("volume in USDT", "sum((price"),
        ("value of all outputs in BTC", "/ 100000000"),
        ("share of buys in trades over 10 ETH", "WHERE (amount > 10)"),
        ("share of volume per side", "OVER ()"),
        ("most common price", "mode(price)"),
        ("how many different prices", "count(DISTINCT price)"),
        ("price difference between the first and the last trade", "arg_max"),
        ("volume in the first minute", "date_trunc('minute', min("),
        ("volume in the last 30 seconds", "INTERVAL 30 SECOND"),
        ("trades every 30 seconds", "time_bucket(INTERVAL 30 SECOND"),
        ("who received the largest output", "LIMIT 1"),
        ("outputs to addresses ending with xyz", "ends_with(\"address\", 'xyz')"),
        ("trades with price range per side", "max(price) - min(price)"),
        ("buys on 2nd of February 2023 after 9:21 am", "09:21:00+00:00"),
        ("trades over $1,667", "price > 1667"),
        ("outputs over 1.5k satoshi", "value_sat > 1500"),
        ("How many trades have a price higher than the average price?", "(SELECT avg(price)"),
        ("how many trades had the highest price", "price = (SELECT max(price)"),
        ("trade with the biggest turnover", "LIMIT 1"),
        ("how many trades on the sell side", "WHERE (\"side\" = 'sell')"),
        ("trades in the 10 seconds after 09:21", "09:21:10+00:00"),
        ("How much more ETH was bought than sold?", "sum(amount) FILTER"),
        ("number of trades per side, sorted by count", "ORDER BY count(*) DESC"),
        ("How many outputs does the largest transaction have?", "LIMIT 1"),
        ("Which address received the coinbase reward?", '("tx_index" = 0)'),
        ("Which trade was the cheapest?", "ORDER BY price NULLS LAST"),
        ("count outputs by address, highest first", "ORDER BY count(*) DESC"),
        ("trades on 2 February", "2023-02-03"),
        ("how many trades in 2023", "2024-01-01"),
        ("volume minute by minute", "GROUP BY date_trunc('minute'"),
        ("volume in a 30 second window", "time_bucket(INTERVAL 30 SECOND"),
        ("minute of the largest trade", "ORDER BY max(amount) DESC"),
        ("total and average of the top 5 trades", "sum(amount), avg(amount) FROM (SELECT * FROM"),
        ("trades at 0 price", "(price = 0)"),
    ],
    ids=str,
)
def test_the_query_has_what_the_question_asks_for(
    reader: Reader, catalogue: duckdb.DuckDBPyConnection, question: str, sql: str
) -> None:
    found = read(reader, question)
    assert sql in found.sql
    check(catalogue, found.sql, {"trades", "bitcoin_block"})
    catalogue.execute(found.sql)


def test_a_question_that_stands_by_itself_takes_nothing_from_the_one_before(reader: Reader) -> None:
    alone = read(reader, "What was the highest price?")
    assert read(reader, "What was the highest price?", "How many buys per minute?") == alone


@pytest.mark.parametrize(
    ("history", "question"),
    [
        ([], "how much did it receive?"),
        (["Which address received the most?"], "how much did it receive?"),
        (["How many buys were there?"], "what is the weather?"),
        (["How many buys were there?"], "why?"),
    ],
    ids=str,
)
def test_what_an_earlier_answer_was_is_not_guessed(
    reader: Reader, history: list[str], question: str
) -> None:
    assert isinstance(reader.read(question, history), Outside)


def test_earlier_questions_that_were_not_understood_are_passed_over(reader: Reader) -> None:
    found = read(reader, "and sells?", "How many buys were there?", "Tell me a joke")
    assert found.says == "number of trades; side is sell (trades)"


def test_values_are_literals_and_names_are_quoted(reader: Reader) -> None:
    assert read(reader, "How many buys were over 5 ETH?").sql == (
        """SELECT count(*) FROM "trades" WHERE (("side" = 'buy') AND (amount > 5))"""
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tables = 1", "is not a layer"),
        ("[[tables]]\nname = 'a'\nabout = 'b'\ndefault = 'c'\nentities = []", "no entity c"),
        ("[[tables]]\nnome = 'a'", "is not a layer"),
        ("tables = [", "is not a layer"),
        ("[[tables]]\ntime = { column = 't', from = 2025-01-01T00:00:00 }", "timezone"),
    ],
)
def test_a_layer_that_contradicts_itself_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "layer.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=why):
        Layer.load(path)
