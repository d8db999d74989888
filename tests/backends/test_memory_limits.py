"""Limits counted in memory: the reference of the port, beside the buckets of a node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto import Tier, Window
from lbproto.backends.memory_limits import MemoryLimits
from lbproto.limits.windows import SECOND, Bucket
from lbproto.testing.limits import LimitsSuite, MakeLimits, PassTime, asked


class Exact(MemoryLimits):
    """By a clock of whole nanoseconds: seconds lose them in months."""

    now = 0

    async def take(
        self, user_id: str, windows: Sequence[tuple[int, int, int]], weight: int
    ) -> tuple[bool, Sequence[int]]:
        return self.take_nowait(user_id, windows, weight, self.now)


class TestMemoryLimits(LimitsSuite):
    sequences: ClassVar[int] = 5  # each is compared with the same

    @pytest.fixture
    def store(self) -> Exact:
        return Exact()

    @pytest.fixture
    def make_limits(self, store: Exact) -> MakeLimits:
        return lambda: store

    @pytest.fixture
    def pass_time(self, store: Exact) -> PassTime:
        async def pass_time(nanoseconds: int) -> None:
            store.now += nanoseconds

        return pass_time


@st.composite
def tiers(draw: st.DrawFn, lengths: st.SearchStrategy[list[int]]) -> Tier:
    windows = []
    for length in draw(lengths):
        number = draw(st.integers(1, 40))
        burst = draw(st.integers(0, max(number - 1, 1)))
        windows.append(Window(number, length / SECOND, burst))
    return Tier(*windows)


LENGTHS = st.lists(st.sampled_from([1, 7, 100, 360, 500]), min_size=1, max_size=3, unique=True)


@given(
    st.lists(tiers(LENGTHS), min_size=2, max_size=2),
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 6), st.just(0) | st.integers(0, 600))),
)
def test_it_counts_as_a_bucket_does(
    several: list[Tier], requests: list[tuple[int, int, int]]
) -> None:
    """To the nanosecond, whatever is asked for and however tiers change."""
    limits, bucket, now = MemoryLimits(), Bucket(several[0]), 1_000
    for which, weight, later in requests:
        now += later
        tier = several[which // 4]
        if tier is not bucket.tier:
            bucket.change(tier, now)
        taken = bucket.take(now, weight)
        ahead = [max(until - now, 0) for until in bucket._until]
        assert limits.take_nowait("ann", asked(tier), weight, now) == (taken, ahead)


def test_who_has_paid_for_all_is_forgotten() -> None:
    limits, windows, now = MemoryLimits(), asked(Tier(Window(2, 1))), 0
    for number in range(10_000):
        now += SECOND // 1_000
        limits.take_nowait(f"user-{number}", windows, 1, now)
    assert len(limits._users) <= 2 * 1_024
