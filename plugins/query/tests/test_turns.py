"""One query that takes all the memory there is, and what that is to its neighbours."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import anyio
import pytest

from lbproto import LimitExceeded
from lbproto_query import DuckDBEngine
from lbproto_query_worker.refusals import OUT_OF_MEMORY
from lbproto_query_worker.turns import Turns

Fetch = Callable[..., Any]

HOGS = [
    "SELECT sum(s) FROM (SELECT range AS k, sum(range) AS s FROM range(100000000) GROUP BY k)",
    "SELECT range FROM range(100000000) ORDER BY sin(range)",
    "SELECT sum(x) OVER (ORDER BY x) FROM range(50000000) t(x)",
]
SMALL = "SELECT count(*) AS n FROM (SELECT DISTINCT range FROM range(300000))"


@pytest.fixture
def anyio_backend() -> str:
    """One event loop: the turns are taken in the worker, and hogs are dear."""
    return "asyncio"


@pytest.mark.anyio
async def test_a_hog_is_refused_and_its_neighbours_are_not(
    new_engine: Callable[..., DuckDBEngine], fetch: Fetch
) -> None:
    async with new_engine(memory=128 * 1024 * 1024) as engine:

        async def live() -> None:
            while True:
                assert (await fetch(engine, SMALL)).rows == [{"n": "300000"}]

        for sql in HOGS:
            async with anyio.create_task_group() as neighbours:
                neighbours.start_soon(live)
                neighbours.start_soon(live)
                with pytest.raises(LimitExceeded, match="memory"):
                    await fetch(engine, sql)
                neighbours.cancel_scope.cancel()
        assert engine.worker_count == 1  # it was not killed


def nothing() -> None:
    """There is no reason to end."""


def test_one_that_is_alone_has_no_second_try() -> None:
    tries = []

    def work() -> None:
        tries.append(1)
        raise MemoryError

    with pytest.raises(MemoryError):
        Turns().run(work, nothing)
    assert tries == [1]


class Beside:
    """A query that runs until it is told not to."""

    def __init__(self, turns: Turns) -> None:
        began, self._end = Event(), Event()

        def work() -> None:
            began.set()
            self._end.wait()

        self._thread = Thread(target=turns.run, args=(work, nothing))
        self._thread.start()
        began.wait()

    def end(self) -> None:
        self._end.set()
        self._thread.join()


def test_it_runs_again_when_the_other_has_ended() -> None:
    turns = Turns()
    other = Beside(turns)
    tries = []

    def work() -> str:
        tries.append(1)
        if len(tries) == 1:
            Thread(target=other.end).start()
            raise MemoryError
        return "rows"

    assert turns.run(work, nothing) == "rows"
    assert tries == [1, 1]


@pytest.mark.parametrize(
    ("error", "count"), [(MemoryError(), 3), (OUT_OF_MEMORY, 1), (ValueError("no"), 1)]
)
def test_how_often_it_is_tried(error: Exception, count: int) -> None:
    turns = Turns(patience=0.01)
    tries = []

    def work() -> None:
        tries.append(1)
        Beside(turns).end()  # which began meanwhile
        raise error

    with pytest.raises(type(error)):
        turns.run(work, nothing)
    assert len(tries) == count


def test_whoever_waits_can_be_ended() -> None:
    turns = Turns()
    other = Beside(turns)
    asked = 0

    def work() -> None:
        raise MemoryError

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise KeyError

    with pytest.raises(KeyError):
        turns.run(work, check)
    other.end()
    assert turns.run(lambda: "rows", check) == "rows"  # nobody is waited for
