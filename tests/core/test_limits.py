"""Windows and buckets: how much they let through, whatever is asked for when."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto import UsageError
from lbproto.limits.windows import PUBLISHED_TIERS, SECOND, Bucket, Refusal, Tier, Window


class Asked(NamedTuple):
    later: int
    weight: int


@st.composite
def windows(draw: st.DrawFn) -> Window:
    number = draw(st.integers(1, 40))
    length = draw(st.integers(1, 500))
    burst = draw(st.integers(1, max(number - 1, 1)) | st.just(0))
    return Window(number, length / SECOND, burst)


def several_windows() -> st.SearchStrategy[list[Window]]:
    return st.lists(windows(), min_size=1, max_size=3, unique_by=lambda window: window.seconds)


def asked(most: int = 100) -> st.SearchStrategy[list[Asked]]:
    """Requests in a row: bursts, trickles and breaks, in the dimensions of `windows`."""
    later = st.just(0) | st.integers(0, 5) | st.integers(0, 600)
    return st.lists(st.builds(Asked, later, st.integers(1, 6)), max_size=most)


def busiest(admitted: list[tuple[int, int]], length: int) -> int:
    """The most that was admitted in any span of a length: one begins with an admission."""
    return max(
        (
            sum(weight for when, weight in admitted if begin <= when < begin + length)
            for begin, _ in admitted
        ),
        default=0,
    )


@given(several_windows(), asked())
def test_no_window_ever_admits_more_than_its_number(
    several: list[Window], requests: list[Asked]
) -> None:
    bucket, now = Bucket(Tier(*several)), 1_000
    admitted = []
    for later, weight in requests:
        now += later
        if bucket.take(now, weight):
            admitted.append((now, weight))
    for window in several:
        assert busiest(admitted, round(window.seconds * SECOND)) <= window.number


@given(windows(), asked())
def test_a_window_admits_whatever_keeps_to_its_rate(window: Window, requests: list[Asked]) -> None:
    """Not only nothing too much: nobody is refused who comes no faster than it says."""
    bucket, now = Bucket(Tier(window)), 1_000
    for later, weight in requests:
        now += window.interval * weight + later
        assert bucket.take(now, weight) is (weight <= window.burst)


@given(windows())
def test_a_burst_is_admitted_at_once_and_nothing_more(window: Window) -> None:
    bucket = Bucket(Tier(window))
    assert [bucket.take(7) for _ in range(window.burst + 1)] == [True] * window.burst + [False]
    assert not bucket.take(6 + window.interval)
    assert bucket.take(7 + window.interval)


@given(
    several_windows(),
    asked(),
    st.integers(1, 6),
)
def test_the_wait_is_exact(several: list[Window], requests: list[Asked], weight: int) -> None:
    bucket, now = Bucket(Tier(*several)), 1_000
    for later, each in requests:
        now += later
        bucket.take(now, each)
    refusal = bucket.refusal(now, weight)
    if refusal is None:
        assert bucket.take(now, weight)
    elif refusal.wait is None:
        assert weight > refusal.window.burst
        assert not bucket.take(now + 10**12, weight)
    else:
        assert refusal.window in several
        assert not bucket.take(now + refusal.wait - 1, weight)
        assert bucket.refusal(now + refusal.wait, weight) is None
        assert bucket.take(now + refusal.wait, weight)


@given(
    st.sampled_from(["free", "pro"]), st.lists(st.floats(0, 3), max_size=400), st.integers(1, 30)
)
def test_whoever_waits_whole_seconds_succeeds_and_a_second_earlier_fails(
    name: str, pauses: list[float], weight: int
) -> None:
    bucket, now = Bucket(PUBLISHED_TIERS[name]), 0
    for pause in pauses:
        now += round(pause * SECOND)
        bucket.take(now, weight)
    while bucket.take(now, weight):  # until the minute is used up
        pass
    refusal = bucket.refusal(now, weight)
    assert refusal is not None
    assert refusal.wait is not None
    seconds = ceil(refusal.wait / SECOND)
    assert not bucket.take(now + (seconds - 1) * SECOND, weight)
    assert bucket.take(now + seconds * SECOND, weight)


@given(
    several_windows(),
    asked(),
    asked(20),
)
def test_a_refused_request_is_counted_by_no_window(
    several: list[Window], requests: list[Asked], refused: list[Asked]
) -> None:
    """Two buckets see the same, and one of them in between what it refuses: no difference."""
    bucket, twin, now = Bucket(Tier(*several)), Bucket(Tier(*several)), 1_000
    for number, (later, weight) in enumerate(requests):
        now += later
        if number < len(refused) and bucket.refusal(now, refused[number].weight):
            assert not bucket.take(now, refused[number].weight)
        assert bucket.take(now, weight) is twin.take(now, weight)
        assert bucket.refusal(now) == twin.refusal(now)


@given(
    several_windows(),
    asked(),
    st.integers(1, 6),
)
def test_what_is_given_back_was_never_taken(
    several: list[Window], requests: list[Asked], weight: int
) -> None:
    bucket, twin, now = Bucket(Tier(*several)), Bucket(Tier(*several)), 1_000
    for later, each in requests:
        now += later
        if bucket.take(now, weight):
            bucket.give_back(weight)
        assert bucket.take(now, each) is twin.take(now, each)
        assert bucket.refusal(now, each) == twin.refusal(now, each)


@given(windows(), asked())
def test_full_is_when_nothing_is_left_to_be_paid_for(window: Window, requests: list[Asked]) -> None:
    bucket, now = Bucket(Tier(window)), 1_000
    assert bucket.full(now)
    for pause, weight in requests:
        now += pause
        if bucket.full(now):
            fresh = Bucket(Tier(window))
            assert bucket.refusal(now, window.burst) is fresh.refusal(now, window.burst) is None
        else:
            assert bucket.refusal(now, window.burst) is not None
        bucket.take(now, weight)


# Two tiers


FREE, PRO = PUBLISHED_TIERS["free"], PUBLISHED_TIERS["pro"]


def used_up(bucket: Bucket, now: int) -> int:
    """How many requests are let through at once."""
    return sum(iter(lambda: bucket.take(now), False))


def test_what_was_used_counts_in_another_tier_too() -> None:
    bucket = Bucket(FREE)
    assert used_up(bucket, 0) == 30
    bucket.change(PRO, 0)
    assert used_up(bucket, 0) == 120
    bucket.change(FREE, 0)
    assert bucket.refusal(0) == Refusal(FREE.windows[0], (150 - 30 + 1) * 2 * SECOND)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 90)), max_size=30))
def test_whoever_has_two_tiers_gets_no_more_than_the_higher_one_allows(
    changes: list[tuple[bool, int]],
) -> None:
    other = Tier(Window(5, 10))  # of no length that the other has
    bucket, now, admitted = Bucket(FREE), 0, []
    for is_other, later in changes:
        now += later * SECOND
        bucket.change(other if is_other else FREE, now)
        admitted += [(now, 1)] * used_up(bucket, now) if not is_other else []
    assert busiest(admitted, 60 * SECOND) <= 60


@given(windows(), st.integers(1, 40), asked(20), st.integers(1, 20))
def test_nothing_is_gained_by_changing_to_and_fro(
    window: Window, number: int, requests: list[Asked], times: int
) -> None:
    """Not a nanosecond: what is used is rounded up."""
    tier, other = Tier(window), Tier(Window(number, window.seconds))
    bucket, now = Bucket(tier), 1_000
    for later, weight in requests:
        now += later
        bucket.take(now, weight)
        before = bucket.refusal(now, window.burst)
        for _ in range(times):
            bucket.change(other, now)
            bucket.change(tier, now)
        after = bucket.refusal(now, window.burst)
        assert after == before or (after and before and (after.wait or 0) > (before.wait or 0))


def test_what_is_set_aside_keeps_a_bucket_from_being_full() -> None:
    bucket = Bucket(FREE)
    used_up(bucket, 0)
    bucket.change(Tier(), 0)
    assert not bucket.full(30 * SECOND)
    assert bucket.full(1_000 * SECOND)


# What can be stated


def test_the_published_tiers() -> None:
    numbers = {
        name: [(window.number, window.seconds) for window in tier.windows]
        for name, tier in PUBLISHED_TIERS.items()
    }
    assert numbers == {
        "free": [(60, 60), (1_000, 3_600), (10_000, 86_400)],
        "pro": [(300, 60), (10_000, 3_600), (100_000, 86_400)],
        "unlimited": [],
    }
    assert all(
        window.burst == window.number // 2
        for tier in PUBLISHED_TIERS.values()
        for window in tier.windows
    )


def test_no_window_is_no_limit() -> None:
    bucket = Bucket(Tier())
    assert all(bucket.take(0, 1_000) for _ in range(1_000))
    assert bucket.refusal(0, 1_000) is None


@pytest.mark.parametrize(
    ("number", "seconds", "burst"),
    [(0, 1, 0), (-1, 1, 0), (1, 0, 0), (1, -1, 0), (1, 1, 2), (5, 1, 5), (5, 1, -1)],
)
def test_a_window_that_makes_no_sense(number: int, seconds: float, burst: int) -> None:
    with pytest.raises(UsageError):
        Window(number, seconds, burst)


def test_two_windows_of_a_length() -> None:
    with pytest.raises(UsageError, match="same length"):
        Tier(Window(1, 60), Window(2, 60.0))
