"""The buckets of many users: forgotten when it makes no difference, and never too many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbproto.limits.quotas import UserBuckets
from lbproto.limits.windows import SECOND, Bucket, Tier, Window

TIER = Tier(Window(4, 10), Window(6, 60))


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 15), st.integers(1, 2)), max_size=200))
def test_forgetting_makes_no_difference(requests: list[tuple[int, int, int]]) -> None:
    buckets, never_forgotten, now = UserBuckets(1_000), dict[int, Bucket](), 0
    for user, later, weight in requests:
        now += later * SECOND
        reference = never_forgotten.setdefault(user, Bucket(TIER))
        bucket = buckets.of(str(user), TIER, now)
        assert bucket.refusal(now, weight) == reference.refusal(now, weight)
        assert bucket.take(now, weight) is reference.take(now, weight)


@given(st.integers(1, 20), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2)), max_size=200))
def test_there_are_never_more_than_the_most(most: int, requests: list[tuple[int, int]]) -> None:
    buckets, now = UserBuckets(most), 0
    for user, later in requests:
        now += later * SECOND
        bucket = buckets.of(str(user), TIER, now)
        bucket.take(now)
        assert buckets.of(str(user), TIER, now) is bucket
        assert len(buckets) <= most


def test_what_is_full_again_goes_while_others_come() -> None:
    buckets, most = UserBuckets(1_000_000), 0
    for number in range(100_000):
        now = number * SECOND // 100
        assert buckets.of(f"user-{number}", TIER, now).take(now)
        most = max(most, len(buckets))
    # A hundred a second, each full again after 15 s.
    assert 1_500 <= most <= 2 * 1_500 + 2


def test_a_user_who_has_used_all_up_is_kept_while_others_come() -> None:
    buckets = UserBuckets(1_000)
    heavy = buckets.of("heavy", TIER, 0)
    while heavy.take(0):
        pass
    for number in range(100_000):
        now = number * SECOND // 100_000
        if number % 500 == 0:
            buckets.of(f"user-{number}", TIER, now)
        buckets.of("heavy", TIER, now)
    assert buckets.of("heavy", TIER, SECOND) is heavy


def test_another_tier_takes_what_was_used_along() -> None:
    buckets = UserBuckets(10)
    assert buckets.of("ada", TIER, 0).take(0, 2)
    other = Tier(Window(40, 10))
    bucket = buckets.of("ada", other, 0)
    assert bucket.tier is other
    assert [bucket.take(0) for _ in range(19)] == [True] * 18 + [False]
