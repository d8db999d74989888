"""An operation, and running it so that only it is counted."""

from __future__ import annotations

import gc
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from itertools import repeat
from time import process_time_ns
from typing import Any

__all__ = ["Operation", "Prepared", "calling", "clock", "done", "prepared"]

Prepared = Callable[[int], object]
"""Runs an operation so often."""

_WARM = 300  # times: the interpreter has specialised the code by then
_AT_LEAST_NS = 20_000_000  # of CPU a measurement takes, so that the clock's steps do not show
_MOST = 1 << 24


@dataclass(frozen=True)
class Operation:
    """One way of doing one thing.

    Attributes:
        name: what is done.
        row: who does it; `floor` for the least that it can take.
        prepare: makes everything that is not counted.
        count: how often it is run for its instructions to be counted.
    """

    name: str
    row: str
    prepare: Callable[[], Prepared]
    count: int = 2_000


def calling(function: Callable[..., Any], *arguments: Any) -> Prepared:
    """An operation that is one call."""

    def run(times: int) -> None:
        for _ in repeat(None, times):
            function(*arguments)

    return run


def done(call: Coroutine[Any, Any, object]) -> None:
    """Run what never waits."""
    with suppress(StopIteration):
        call.send(None)


def prepared(operation: Operation) -> Prepared:
    """Make an operation ready, warm, and with nothing left over for the garbage collector."""
    run = operation.prepare()
    run(_WARM)
    gc.collect()
    gc.freeze()
    return run


def clock(operation: Operation, *, quick: bool = False) -> float:
    """The CPU time of an operation, in microseconds.

    Args:
        quick: run it a few times only.
    """
    run = prepared(operation)
    times = 10
    try:
        while True:
            begin = process_time_ns()
            run(times)
            taken = process_time_ns() - begin
            if quick or taken >= _AT_LEAST_NS or times >= _MOST:
                return taken / times / 1_000
            times *= 2 if taken > _AT_LEAST_NS // 8 else 8
    finally:
        gc.unfreeze()
