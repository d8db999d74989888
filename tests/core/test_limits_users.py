"""The meters of many users: forgotten when it makes no difference, and never too many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbproto.limits import SECOND, Meter, Tier, Window
from lbproto.quotas import UserMeters

TIER = Tier(Window(4, 10), Window(6, 60))


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 15), st.integers(1, 2)), max_size=200))
def test_forgetting_makes_no_difference(requests: list[tuple[int, int, int]]) -> None:
    meters, never_forgotten, now = UserMeters(1_000), dict[int, Meter](), 0
    for user, later, weight in requests:
        now += later * SECOND
        reference = never_forgotten.setdefault(user, Meter(TIER))
        meter = meters.of(str(user), TIER, now)
        assert meter.refusal(now, weight) == reference.refusal(now, weight)
        assert meter.take(now, weight) is reference.take(now, weight)


@given(st.integers(1, 20), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2)), max_size=200))
def test_there_are_never_more_than_the_most(most: int, requests: list[tuple[int, int]]) -> None:
    meters, now = UserMeters(most), 0
    for user, later in requests:
        now += later * SECOND
        meter = meters.of(str(user), TIER, now)
        meter.take(now)
        assert meters.of(str(user), TIER, now) is meter
        assert len(meters) <= most


def test_what_is_full_again_goes_while_others_come() -> None:
    meters, most = UserMeters(1_000_000), 0
    for number in range(100_000):
        now = number * SECOND // 100
        assert meters.of(f"user-{number}", TIER, now).take(now)
        most = max(most, len(meters))
    # A hundred a second, each full again after 15 s.
    assert 1_500 <= most <= 2 * 1_500 + 2


def test_a_user_who_has_used_all_up_is_kept_while_others_come() -> None:
    meters = UserMeters(1_000)
    heavy = meters.of("heavy", TIER, 0)
    while heavy.take(0):
        pass
    for number in range(100_000):
        now = number * SECOND // 100_000
        if number % 500 == 0:
            meters.of(f"user-{number}", TIER, now)
        meters.of("heavy", TIER, now)
    assert meters.of("heavy", TIER, SECOND) is heavy


def test_another_tier_takes_what_was_used_along() -> None:
    meters = UserMeters(10)
    assert meters.of("ada", TIER, 0).take(0, 2)
    other = Tier(Window(40, 10))
    meter = meters.of("ada", other, 0)
    assert meter.tier is other
    assert [meter.take(0) for _ in range(19)] == [True] * 18 + [False]
