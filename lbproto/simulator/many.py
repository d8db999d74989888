"""Many seeds, one after the other, in as many processes as there are processors for it."""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from threading import Thread

from lbproto.simulator.outcome import simulate
from lbproto.simulator.scenario import Scenario
from lbproto.simulator.story import Broken

__all__ = ["Seed", "many"]

_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Seed:
    """What came of a seed, in short.

    Attributes:
        number: the seed.
        steps: how many steps its plan had.
        seconds: of virtual time.
        broken: the first promise that was not kept; None for none.
    """

    number: int
    steps: int
    seconds: float
    broken: Broken | None


def many(
    seeds: Iterable[int], scenario: Callable[[], Scenario] = Scenario, jobs: int = 1
) -> Iterator[Seed]:
    """Simulate seeds, and tell of each, in order.

    Args:
        seeds: which.
        scenario: makes what is simulated; where there are several jobs, it can be pickled.
        jobs: processes that share the work.
    """
    batches = _batches(seeds)
    if jobs == 1:
        for batch in batches:
            yield from _simulate(batch, scenario)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), _end_with_parent) as pool:
        waiting = [pool.submit(_simulate, batch, scenario) for batch in batches]
        try:
            for each in waiting:
                yield from each.result()
        finally:
            for each in waiting:
                each.cancel()


def _end_with_parent() -> None:
    """Have this process end with the one that has started it, also where that is killed."""
    Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    assert parent is not None  # noqa: S101 - it was started by one
    parent.join()
    os._exit(1)


def _batches(seeds: Iterable[int]) -> Iterator[list[int]]:
    batch: list[int] = []
    for seed in seeds:
        batch.append(seed)
        if len(batch) == _AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _simulate(seeds: Sequence[int], scenario: Callable[[], Scenario]) -> list[Seed]:
    """Simulate a batch; its garbage is collected behind it, all at once."""
    was_enabled = gc.isenabled()
    gc.disable()
    with warnings.catch_warnings():
        # What is left of a node that was killed unwinds in no order: nobody is to hear of it.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        try:
            made = scenario()
            return [_simulate_one(seed, made) for seed in seeds]
        finally:
            gc.collect()
            if was_enabled:
                gc.enable()


def _simulate_one(seed: int, scenario: Scenario) -> Seed:
    outcome = simulate(seed, scenario)
    broken = outcome.broken[0] if outcome.broken else None
    return Seed(seed, outcome.steps, outcome.seconds, broken)
