"""The log: what is kept, what has to go, and how far back whoever resumes can be served."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from lbproto.delivery.log import Entry, Lane, Log
from tests.core.harness import Hello


def append(log: Log, lane: Lane, size: int, now: float = 0.0, *, except_: str = "") -> Entry:
    """Send something of so many bytes."""
    (entry,) = log.entries([Hello()], (except_,) if except_ else ())
    entry.size = size
    log.append((entry,), lane, now)
    return entry


def test_a_lane_drops_its_own_oldest_and_nobody_elses() -> None:
    log = Log(60.0, 1_000, 1_000_000)
    alone, other = Lane(max_bytes=1_000), Lane()
    kept = append(log, other, 500)
    entries = [append(log, alone, 400) for _ in range(5)]
    assert list(alone.entries) == entries[-2:]
    assert list(other.entries) == [kept]
    assert (len(log), log.size) == (3, 500 + 800)
    assert alone.floor("anybody") == entries[2].position
    assert other.floor("anybody") == 0


def test_what_a_busy_lane_has_dropped_does_not_pile_up() -> None:
    log = Log(60.0, 100_000, 1_000_000_000)
    busy = Lane(max_bytes=10)
    for _ in range(10_000):
        append(log, busy, 10)
    assert len(log) == len(busy.entries) == 1
    assert len(log._order) < 2_000


def test_a_lane_that_has_run_empty_takes_new_entries() -> None:
    log = Log(60.0, 1_000, 1_000_000)
    lane = Lane()
    append(log, lane, 1)
    log.trim(100.0)
    assert (len(log), len(lane.entries)) == (0, 0)
    last = append(log, lane, 1, 100.0)
    assert list(lane.between(0, last.position)) == [last]


def test_what_is_too_old_goes_soon_after_with_what_is_sent() -> None:
    log = Log(60.0, 1_000, 1_000_000)
    lane = Lane()
    old = append(log, lane, 1)
    append(log, lane, 1, 60.0)
    assert old in lane.entries
    append(log, lane, 1, 61.0)
    assert old not in lane.entries


def test_whoever_the_last_dropped_entry_spared_has_missed_nothing() -> None:
    log = Log(60.0, 1, 1_000_000)
    lane = Lane()
    dropped = append(log, lane, 1, except_="spared")
    append(log, lane, 1)
    assert (lane.floor("spared"), lane.floor("other")) == (0, dropped.position)
    append(log, lane, 1)
    assert lane.floor("spared") == lane.floor("other")


lanes = st.integers(0, 2)


@given(st.lists(st.tuples(lanes, st.integers(1, 40), st.floats(0, 30)), max_size=200))
def test_what_is_kept_is_what_every_bound_leaves(sent: list[tuple[int, int, float]]) -> None:
    """Beside a model that looks at all of it each time."""
    log = Log(60.0, 30, 500)
    found = [Lane(max_bytes=100), Lane(max_bytes=300), Lane()]
    most = [100.0, 300.0, inf]
    kept: list[tuple[int, Entry]] = []
    now = 0.0
    for index, size, seconds in sent:
        now += seconds
        kept.append((index, append(log, found[index], size, now)))
        while sum(entry.size for which, entry in kept if which == index) > most[index]:
            del kept[next(at for at, (which, _) in enumerate(kept) if which == index)]
        full = 500 if sum(entry.size for _, entry in kept) <= 500 else 500 - 500 // 64
        while len(kept) > 30 or sum(entry.size for _, entry in kept) > full:
            del kept[0]
        log.trim(now)
        kept = [(which, entry) for which, entry in kept if entry.time >= now - 60.0]
        for which, lane in enumerate(found):
            assert list(lane.entries) == [entry for at, entry in kept if at == which]
        assert (len(log), log.size) == (len(kept), sum(entry.size for _, entry in kept))
        assert log.oldest == (kept[0][1].position if kept else log.position + 1)
