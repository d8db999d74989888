"""How money is followed: by hand where the answer is known, and that none is made or lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto_compliance.analysis.holdings import HOLDINGS, Tag
from lbproto_compliance.analysis.report import Method
from lbproto_compliance.analysis.taint import Arrival, Payment, trace

METHODS: tuple[Method, ...] = ("haircut", "poison", "fifo")
THIEF, MIXED, OTHER, SEED, FENCE = range(5)


def _payments(*rows: tuple[int, int, int]) -> list[Payment]:
    """Source, target, amount: one transaction each."""
    return [
        Payment(source, target, tx, 0, amount) for tx, (source, target, amount) in enumerate(rows)
    ]


def _trace(
    payments: list[Payment],
    method: Method = "haircut",
    hops: int = 5,
    followed: Collection[int] = (MIXED,),
) -> list[Arrival]:
    return list(
        trace(
            payments, sources={THIEF}, followed=followed, targets={SEED}, hops=hops, method=method
        )
    )


def _amounts(arrivals: list[Arrival]) -> list[tuple[int, int]]:
    return [(arrival.hops, arrival.amount) for arrival in arrivals]


def test_what_is_paid_directly_is_tainted_as_a_whole() -> None:
    payments = _payments((OTHER, THIEF, 50), (THIEF, SEED, 7))
    assert _trace(payments) == [Arrival(THIEF, SEED, 1, 0, 7, (1,))]


@pytest.mark.parametrize(
    ("method", "arrived"),
    [
        # 60 clean came first, then 40 stolen; two halves of the 100 go on.
        ("haircut", [(2, 20), (2, 20)]),
        ("poison", [(2, 50), (2, 50)]),
        ("fifo", [(2, 40)]),
    ],
)
def test_where_money_is_mixed_the_method_decides(
    method: Method, arrived: list[tuple[int, int]]
) -> None:
    payments = _payments(
        (OTHER, MIXED, 60), (THIEF, MIXED, 40), (MIXED, SEED, 50), (MIXED, SEED, 50)
    )
    arrivals = _trace(payments, method)
    assert _amounts(arrivals) == arrived
    assert all(payments[arrival.path[0]].source == THIEF for arrival in arrivals)


@pytest.mark.parametrize(
    ("method", "arrived"), [("haircut", [(2, 10)]), ("poison", [(2, 40)]), ("fifo", [])]
)
def test_what_must_have_been_there_before_is_of_no_known_origin(
    method: Method, arrived: list[tuple[int, int]]
) -> None:
    """70 are paid of 10 that came: 60 were there, and have been since before."""
    payments = _payments((THIEF, MIXED, 20), (MIXED, SEED, 40), (MIXED, OTHER, 40))
    assert _amounts(_trace(payments, method)) == arrived


@pytest.mark.parametrize("method", METHODS)
def test_money_cannot_be_spent_before_it_comes(method: Method) -> None:
    assert _trace(_payments((MIXED, SEED, 40), (THIEF, MIXED, 40)), method) == []


@pytest.mark.parametrize("method", METHODS)
def test_poison_is_gone_once_all_of_it_is_gone(method: Method) -> None:
    payments = _payments(
        (THIEF, MIXED, 40), (MIXED, FENCE, 40), (OTHER, MIXED, 30), (MIXED, SEED, 30)
    )
    assert _trace(payments, method) == []


@pytest.mark.parametrize("method", METHODS)
def test_a_path_is_not_longer_than_asked(method: Method) -> None:
    payments = _payments((THIEF, 10, 8), (10, 11, 8), (11, 12, 8), (12, SEED, 8))
    followed = (10, 11, 12)
    assert _trace(payments, method, hops=3, followed=followed) == []
    (arrival,) = _trace(payments, method, hops=4, followed=followed)
    assert arrival == Arrival(THIEF, SEED, 4, 0, 8, (0, 1, 2, 3))


@pytest.mark.parametrize("method", METHODS)
def test_assets_are_not_mixed(method: Method) -> None:
    payments = [
        Payment(THIEF, MIXED, 0, 1, 40),
        Payment(OTHER, MIXED, 1, 0, 40),
        Payment(MIXED, SEED, 2, 0, 40),
    ]
    assert _trace(payments, method) == []


@pytest.mark.parametrize("method", METHODS)
def test_amounts_beyond_floating_point_are_exact(method: Method) -> None:
    large = 10**30 + 1
    payments = _payments((THIEF, MIXED, large), (MIXED, SEED, large - 1), (MIXED, SEED, 1))
    assert sum(amount for _, amount in _amounts(_trace(payments, method))) == large


def test_a_remainder_goes_to_whom_it_is_nearest() -> None:
    payments = _payments((THIEF, MIXED, 2), (OTHER, MIXED, 1), *[(MIXED, SEED, 1)] * 3)
    assert _amounts(_trace(payments)) == [(2, 1), (2, 1)]


def test_progress_is_told_and_may_end_it() -> None:
    payments = _payments(*[(OTHER, MIXED, 1)] * 10_000)
    told: list[float] = []
    list(
        trace(
            payments,
            sources={THIEF},
            followed={MIXED},
            targets={SEED},
            hops=2,
            method="haircut",
            step=told.append,
        )
    )
    assert told == sorted(told)
    assert len(told) == 3

    def stop(done: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(
            trace(
                payments,
                sources={THIEF},
                followed={MIXED},
                targets={SEED},
                hops=2,
                method="haircut",
                step=stop,
            )
        )


_nodes = st.integers(0, 7)
_random = st.lists(
    st.tuples(_nodes, _nodes, st.integers(1, 1000)).filter(lambda row: row[0] != row[1]),
    max_size=60,
)


@given(_random, st.sampled_from(METHODS))
def test_no_more_arrives_than_was_paid(rows: list[tuple[int, int, int]], method: Method) -> None:
    payments = _payments(*rows)
    arrivals = _trace(payments, method, followed=(MIXED, OTHER, 5, 6, 7))
    by_payment: defaultdict[int, int] = defaultdict(int)
    for arrival in arrivals:
        by_payment[arrival.path[-1]] += arrival.amount
        steps = [payments[position] for position in arrival.path]
        assert len(steps) == arrival.hops <= 5
        assert list(arrival.path) == sorted(arrival.path)
        assert (steps[0].source, steps[-1].target) == (arrival.origin, arrival.target)
        assert all(a.target == b.source for a, b in pairwise(steps))
    if method != "poison":
        assert all(payments[k].amount >= amount for k, amount in by_payment.items())
        stolen = sum(payment.amount for payment in payments if payment.source == THIEF)
        assert sum(by_payment.values()) <= stolen


_steps = st.lists(
    st.tuples(st.integers(0, 100), st.dictionaries(st.integers(0, 3), st.integers(1, 50))),
    max_size=20,
)


@given(st.integers(0, 100), _steps, st.data(), st.sampled_from(["haircut", "fifo"]))
def test_what_is_put_in_is_what_can_be_taken_out(
    opening: int, steps: list[tuple[int, dict[int, int]]], data: st.DataObject, method: Method
) -> None:
    holdings, total = HOLDINGS[method](opening), opening
    came: defaultdict[int, int] = defaultdict(int)
    went: defaultdict[int, int] = defaultdict(int)
    for clean, parts in steps:
        amount = clean + sum(parts.values())
        holdings.put(amount, {Tag(origin, 1): part for origin, part in parts.items()})
        total += amount
        for origin, part in parts.items():
            came[origin] += part
        taking = data.draw(st.integers(0, total))
        if taking:
            total -= taking
            taken = holdings.take(taking)
            assert sum(taken.values()) <= taking
            for tag, part in taken.items():
                went[tag.origin] += part
                assert went[tag.origin] <= came[tag.origin]
    if total:
        for tag, part in holdings.take(total).items():
            went[tag.origin] += part
    assert went == came
