"""How questions are read: what is said of it, what is asked back, what is refused and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbproto import UsageError
from lbproto_chat.semantic import Ambiguous, Layer, Outside, Reader, Reading


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
        "how many trades at 12 34 56",
        "price of the ten",
        "the first output",
        "ratio of buys",
        "outputs per input",
        "total vwap",
        "average number of trades",
        "not",
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
    ],
    ids=str,
)
def test_a_question_that_goes_on_takes_the_rest_from_the_one_before(
    reader: Reader, history: list[str], question: str, sql: str
) -> None:
    assert sql in read(reader, question, *history).sql


def test_a_question_that_stands_by_itself_takes_nothing_from_the_one_before(reader: Reader) -> None:
    alone = read(reader, "What was the highest price?")
    assert read(reader, "What was the highest price?", "How many buys per minute?") == alone


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
        ("tables = 1", "is no layer"),
        ("[[tables]]\nname = 'a'\nabout = 'b'\ndefault = 'c'\nentities = []", "no entity c"),
        ("[[tables]]\nnome = 'a'", "is no layer"),
        ("tables = [", "is no layer"),
    ],
)
def test_a_layer_that_contradicts_itself_is_refused(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "layer.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=why):
        Layer.load(path)
