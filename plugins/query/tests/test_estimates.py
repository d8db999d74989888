"""How long queries are thought to take."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lbproto_query import DuckDBEngine, Limits, QueryRequest
from lbproto_query.estimates import History, Pace

NewEngine = Callable[..., DuckDBEngine]


def test_history() -> None:
    history = History(most=2)
    assert history.estimate("shop", "SELECT 1") is None
    history.note("shop", "SELECT 1", 1.0)
    assert history.estimate("shop", "select\n 'x''y'") == 1000
    assert history.estimate("bank", "SELECT 1") is None
    history.note("shop", "SELECT 2.5", 2.0)
    assert history.estimate("shop", "SELECT 1") == 1300
    history.note("shop", "SELECT a", 1.0)
    history.note("shop", "SELECT b", 1.0)
    assert history.estimate("shop", "SELECT 1") is None


def test_nothing_is_known_of_a_pace_at_first() -> None:
    assert Pace().estimate(1000) is None


def test_small_queries_tell_little_of_large_ones() -> None:
    pace = Pace()
    for _ in range(100):
        for seconds in (0.004, 0.005):
            pace.note(50, seconds)
    assert pace.estimate(50) == 4
    assert pace.estimate(100_000_000) in range(1_000, 20_000)


def test_a_pace_is_learnt_and_forgotten() -> None:
    pace = Pace()
    pace.note(0, 0.01)
    for rate in (1_000_000, 50_000_000):
        for _ in range(20):
            pace.note(20 * rate, 20.01)
        assert pace.estimate(rate) in range(900, 1100)
        assert pace.estimate(10 * rate) in range(9_000, 11_000)


async def estimated(engine: DuckDBEngine, sql: str, seconds: float = 30) -> tuple[int | None, int]:
    """What it was thought to take, and what it took, in milliseconds."""
    request = QueryRequest(application_id="shop", sql=sql, limits=Limits(seconds=seconds))
    async with engine.query(request) as stream:
        await stream.described()
        estimate = stream.estimated_ms
        async for _ in stream:
            pass
    assert stream.outcome is not None
    return estimate, round(stream.outcome.seconds * 1000)


@pytest.mark.anyio
async def test_a_repeat_takes_what_it_took(new_engine: NewEngine) -> None:
    async with new_engine(isolated=False) as engine:
        assert (await estimated(engine, "SELECT 1"))[0] is None
        _, first = await estimated(engine, "SELECT i FROM trades WHERE i < 7")
        assert (await estimated(engine, "select i  from trades where i < 8"))[0] == first


@pytest.mark.anyio
async def test_what_is_new_takes_what_its_plan_says(new_engine: NewEngine) -> None:
    async with new_engine() as engine:
        assert (await estimated(engine, "SELECT 1"))[0] is None
        assert (await estimated(engine, "SELECT 2 AS two"))[0] is not None  # it has learnt by that
        for sql, least, most in (
            ("SELECT 2 + 2 AS four", 1, 1),
            ("FROM range(400000)", 201, 221),  # to encode a row is as much as 50 of them
            ("SELECT max(sin(range)) FROM range(20000000)", 201, 801),
        ):
            pace = engine._paces["shop"] = Pace()
            pace.note(0, 0.001)
            pace.note(90_000_000, 0.901)  # 10 ns for a row that an operator is passed
            estimate, _ = await estimated(engine, sql)
            assert estimate in range(least, most + 1), sql
        endless = QueryRequest(
            application_id="shop",
            sql="SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range < b.range",
            limits=Limits(seconds=5),
        )
        async with engine.query(endless) as stream:
            await stream.described()
            assert stream.estimated_ms == 5000  # what it may take
