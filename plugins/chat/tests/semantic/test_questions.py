"""Questions over the bundled catalogue, scored by what their answers give.

An answer is right if its query's rows are those of a right query: the same number of rows, and
among its columns some that have the same values, whatever else it shows. Where the right query
orders its rows, the order counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from math import isclose
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest

from lbproto_chat.semantic import Ambiguous, Outside, Reader, Reading
from lbproto_query_worker.guard import check

HERE = Path(__file__).parent
TABLES = {"trades", "bitcoin_block"}


class Question(msgspec.Struct):
    ask: str
    sql: list[str]
    after: list[str] = []


class Questions(msgspec.Struct):
    questions: list[Question]


class Strangers(msgspec.Struct):
    questions: list[str]
    further: list[str]


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else _number(value)


def _number(value: Any) -> Any:
    try:
        return float(value)
    except TypeError:  # a time
        return str(value)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(one == other)


def _in_order(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows, key=lambda row: tuple(map(str, row)))


def is_right(wanted: list[tuple[Any, ...]], given: list[tuple[Any, ...]], *, ordered: bool) -> bool:
    if len(wanted) != len(given) or not wanted or len(given[0]) < len(wanted[0]):
        return False
    wanted = wanted if ordered else _in_order(wanted)
    for places in permutations(range(len(given[0])), len(wanted[0])):
        some = [tuple(row[place] for place in places) for row in given]
        some = some if ordered else _in_order(some)
        if all(
            _same(*pair)
            for one, other in zip(wanted, some, strict=True)
            for pair in zip(one, other, strict=True)
        ):
            return True
    return False


def rows_of(catalogue: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(map(_plain, row)) for row in catalogue.execute(sql).fetchall()]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("questions", 120), ("paraphrases", 40), ("further", 40), ("last", 40)],
    ids=str,
)
def test_questions_are_answered_rightly(
    reader: Reader, catalogue: duckdb.DuckDBPyConnection, name: str, wanted: int
) -> None:
    questions = msgspec.toml.decode((HERE / f"{name}.toml").read_bytes(), type=Questions).questions
    assert len(questions) == wanted
    wrong: list[str] = []
    for question in questions:
        read = reader.read(question.ask, question.after)
        good = False
        if isinstance(read, Reading):
            check(catalogue, read.sql, TABLES)
            catalogue.execute(f"DESCRIBE {read.sql}")
            given = rows_of(catalogue, read.sql)
            good = any(
                is_right(rows_of(catalogue, sql), given, ordered="ORDER BY" in sql)
                for sql in question.sql
            )
        asked = " > ".join((*question.after, question.ask))
        said = read.says if isinstance(read, Reading) else read.text.splitlines()[0]
        if not good:
            wrong.append(f"{asked} | {said}")
    assert not wrong


def test_what_the_data_have_no_answer_to_is_refused_or_asked_back(reader: Reader) -> None:
    strangers = msgspec.toml.decode((HERE / "outside.toml").read_bytes(), type=Strangers)
    assert len(strangers.questions) == 30
    for question in (*strangers.questions, *strangers.further):
        read = reader.read(question)
        print(f"{question} | {read.says if isinstance(read, Reading) else read.text}")
        assert isinstance(read, Ambiguous | Outside), question


@pytest.mark.parametrize("question", ["Show me the 3 largest trades", "How many buys were there?"])
def test_what_is_outside_stays_outside_within_a_conversation(reader: Reader, question: str) -> None:
    strangers = msgspec.toml.decode((HERE / "outside.toml").read_bytes(), type=Strangers).questions
    for stranger in strangers:
        read = reader.read(stranger, [question])
        assert isinstance(read, Ambiguous | Outside), stranger
