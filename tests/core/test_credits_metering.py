"""The commands for requests, in any order with the others: nothing is lost or spent twice."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto.errors import InsufficientCredits, InvalidRequest, NotFound
from lbproto.ledger.account import Change, Kind, Movement, Receipt, State
from lbproto.ledger.commands import adjust, grant, look, release, reserve, settle
from lbproto.ledger.metering import Standing, enlarge, take_up

T = TypeVar("T")

IDS = ["a", "b", "c"]


class Books:
    """An account with all that a store keeps of it."""

    def __init__(self) -> None:
        self.state = State()
        self.receipts: dict[str, Receipt] = {}
        self.movements: list[Movement] = []

    def do(self, id_: str, change: Change[T]) -> T:
        before, copy = self.state, self.state.fork()
        outcome = change(self.state, self.receipts.get(id_))
        assert before == copy  # it never changes what it is given
        self.state = outcome.state
        self.receipts.update(outcome.receipts)
        self.movements += outcome.movements
        return outcome.answer

    def check(self) -> None:
        state = self.state
        assert state.balance == sum(each.amount for each in self.movements)
        assert all(lot.left > 0 for lot in state.lots)
        for held in state.reservations.values():
            assert sum(part.left for part in held.lots) == held.amount
            assert held.transaction_id not in self.receipts
        reserved = sum(held.amount for held in state.reservations.values())
        assert state.available == state.balance - reserved >= 0
        spent = [each.transaction_id for each in self.movements if each.kind is Kind.DEDUCTED]
        assert len(spent) == len(set(spent))


AMOUNTS = st.integers(1, 12)
COMMANDS = st.tuples(
    st.sampled_from(["grant", "lapse", "take_up", "enlarge", "settle", "release", "look", "wait"]),
    st.sampled_from(IDS),
    AMOUNTS,
    AMOUNTS,
)


@given(st.lists(COMMANDS, max_size=40))
def test_whatever_happens_the_books_are_in_order(commands: list[tuple[str, str, int, int]]) -> None:
    books, now = Books(), 1_000
    for number, (what, id_, amount, other) in enumerate(commands):
        changes: dict[str, Change[Any]] = {
            "grant": grant(f"grant-{number}", amount, "", now, priority=other % 2),
            "lapse": grant(f"grant-{number}", amount, "", now, expires_at=now + other),
            "take_up": take_up(id_, amount, "work", now, now + other, now - other),
            "enlarge": enlarge(id_, amount, other, now, now + other),
            "settle": settle(id_, amount, now),
            "release": release(id_, now),
            "look": look(now),
        }
        if what == "wait":
            now += amount
            continue
        with suppress(InsufficientCredits, InvalidRequest, NotFound):
            books.do(f"grant-{number}" if what in ("grant", "lapse") else id_, changes[what])
        books.check()


def with_credits(amount: int) -> Books:
    books = Books()
    books.do("gift", grant("gift", amount, "", 0))
    return books


def test_an_attempt_is_taken_up_as_it_is() -> None:
    books = with_credits(10)
    first = books.do("a", take_up("a", 4, "work", 0, 60, -600)).held
    again = books.do("a", take_up("a", 7, "work", 10, 70, -590)).held
    assert first is not None
    assert again is not None
    assert (again.amount, first.expires_at, again.expires_at) == (4, 60, 70)
    assert books.state.available == 6
    assert books.do("a", take_up("a", 4, "work", 10, 20, -590)).held == again


def test_what_was_spent_counts_from_a_moment_on() -> None:
    books = with_credits(10)
    books.do("a", take_up("a", 4, "work", 0, 60, -600))
    books.do("a", settle("a", 3, 50))
    assert books.do("a", take_up("a", 4, "work", 650, 710, 50)) == Standing(None, 3, True)
    assert books.do("a", take_up("a", 4, "work", 651, 711, 51)) == Standing(None, 0, True)


@pytest.mark.parametrize("now", [30, 60, 61])
def test_an_attempt_that_is_over(now: int) -> None:
    books = with_credits(10)
    books.do("a", take_up("a", 4, "work", 0, 60, -600))
    if now == 30:
        books.do("a", release("a", now))
    assert books.do("a", take_up("a", 4, "work", now, now + 60, -600)) == Standing(None, 0, True)
    assert books.state.available == 10


def test_nothing_is_set_aside_for_nothing() -> None:
    books = with_credits(10)
    for amount in (0, -3):
        assert books.do("a", take_up("a", amount, "work", 0, 60, 0)) == Standing(None)
    assert books.receipts.keys() == {"gift"}


def test_the_id_of_something_else() -> None:
    books = with_credits(10)
    with pytest.raises(InvalidRequest, match="used for something else"):
        books.do("gift", take_up("gift", 4, "work", 0, 60, 0))


def test_it_is_enlarged_by_what_is_wanted_as_far_as_that_is_there() -> None:
    books = with_credits(10)
    books.do("a", reserve("a", 4, "work", 0, 60))
    assert books.do("a", enlarge("a", 1, 3, 10, 70)).amount == 7
    assert books.do("a", enlarge("a", 2, 5, 20, 30)).amount == 10
    held = books.state.reservations["a"]
    assert (held.expires_at, books.state.available) == (70, 0)
    with pytest.raises(InsufficientCredits) as refusal:
        books.do("a", enlarge("a", 1, 1, 30, 90))
    assert (refusal.value.required, refusal.value.available) == (1, 0)
    books.do("a", settle("a", 8, 69))
    assert books.state.available == books.state.balance == 2
    with pytest.raises(NotFound):
        books.do("a", enlarge("a", 1, 1, 69, 90))


def test_a_correction_does_not_touch_what_is_set_aside() -> None:
    books = with_credits(10)
    books.do("a", take_up("a", 4, "work", 0, 60, 0))
    books.do("fix", adjust("fix", -6, "", 0))
    with pytest.raises(InsufficientCredits):
        books.do("fix2", adjust("fix2", -1, "", 0))
    books.do("a", settle("a", 4, 0))
    assert books.state.balance == 0
