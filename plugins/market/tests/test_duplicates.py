from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from lbproto_market.duplicates import Counted


@given(st.lists(st.integers(0, 40), max_size=120))
def test_each_id_counts_once_in_any_order(ids: list[int]) -> None:
    counted = Counted()
    seen: set[int] = set()
    for number in ids:
        assert counted.add(number) == (number not in seen)
        seen.add(number)


def test_a_range_takes_the_same_memory_however_long_it_is() -> None:
    counted = Counted()
    for number in range(100_000, 200_000):
        assert counted.add(number)
    assert not any(counted.add(number) for number in range(100_000, 200_000))
    assert len(counted._begins) == 0
    assert counted.mark == 0


def test_the_highest_id_there_is_does_no_harm() -> None:
    counted = Counted()
    highest = (1 << 63) - 1
    assert counted.add(highest)
    assert counted.add(5)
    assert not counted.add(highest)
    assert counted.add(6)
    assert not counted.add(5)
    assert counted.add(highest - 1)


@given(
    st.lists(st.integers(0, 400), max_size=400),
    st.integers(8, 20),
)
def test_bounded_it_forgets_the_lowest_and_never_counts_twice(ids: list[int], most: int) -> None:
    counted = Counted(most)
    seen: set[int] = set()
    for number in ids:
        mark = counted.mark
        assert counted.add(number) == (number not in seen and number >= mark)
        seen.add(number)
        assert len(counted._begins) <= most


def test_ids_with_holes_are_remembered_up_to_the_bound() -> None:
    counted = Counted(1000)
    for number in range(0, 20_000, 2):
        assert counted.add(number)
    newest = range(20_000 - 2 * 800, 20_000)
    assert not any(counted.add(number) for number in newest if number % 2 == 0)
    assert all(counted.add(number) for number in newest if number % 2)
    assert not counted.add(1)
    assert sys.getsizeof(counted._begins) < 10_000


def test_what_an_earlier_life_counted() -> None:
    counted = Counted()
    counted.resume(10, [12, 14])
    assert [counted.add(number) for number in (3, 10, 12, 13, 14, 15)] == [
        *(False, True, False, True, False, True)
    ]
