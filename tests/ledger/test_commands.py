"""The machine of an account: what commands come to, case by case."""

from __future__ import annotations

from typing import TypeVar

import pytest

from lbproto import InsufficientCredits, InvalidRequest, NotFound
from lbproto.ledger.account import (
    MAX_AMOUNT,
    Balance,
    Change,
    Kind,
    Movement,
    Outcome,
    Receipt,
    State,
    Status,
)
from lbproto.ledger.commands import adjust, extend, grant, look, release, reserve, settle

T = TypeVar("T")

NOW = 1_768_910_400_000
LATER = NOW + 60_000


class Kept:
    """An account and its receipts, as a store keeps them."""

    def __init__(self) -> None:
        self.state = State()
        self.receipts: dict[str, Receipt] = {}
        self.moved: list[Movement] = []

    def do(self, transaction_id: str, change: Change[T]) -> Outcome[T]:
        outcome = change(self.state, self.receipts.get(transaction_id))
        self.state = outcome.state
        self.receipts.update(outcome.receipts)
        self.moved += outcome.movements
        return outcome

    def grant(self, name: str, amount: int, *, priority: int = 0, until: int | None = None) -> None:
        self.do(name, grant(name, amount, "gift", NOW, priority=priority, expires_at=until))

    def reserve(self, name: str, amount: int, now: int = NOW, until: int = LATER) -> Status:
        return self.do(name, reserve(name, amount, "buy", now, until)).answer.status

    def settle(self, name: str, amount: int, now: int = NOW) -> Movement | None:
        return self.do(name, settle(name, amount, now)).answer

    def look(self, now: int = NOW) -> Balance:
        return self.do("", look(now)).answer


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_what_is_reserved_is_in_the_balance_and_not_available(kept: Kept) -> None:
    kept.grant("g", 10)
    assert kept.reserve("r", 4) is Status.OPEN
    assert kept.look() == Balance(balance=10, available=6, earned=10, spent=0, version=1)
    moved = kept.settle("r", 3)
    assert moved == Movement(2, Kind.DEDUCTED, -3, 7, 10, 3, "buy", "r", NOW)
    assert kept.look() == Balance(balance=7, available=7, earned=10, spent=3, version=2)


def test_a_command_leaves_what_it_is_given_as_it_was(kept: Kept) -> None:
    kept.grant("g", 10, until=LATER)
    kept.reserve("r", 4)
    before, shown = kept.state, kept.state.shown()
    lots, held = list(before.lots), dict(before.reservations)
    kept.settle("r", 1)
    kept.reserve("s", 9)
    kept.look(LATER)
    assert kept.state is not before
    assert (before.shown(), before.lots, before.reservations) == (shown, lots, held)


@pytest.mark.parametrize("amount", [0, -1, MAX_AMOUNT + 1])
def test_an_amount_that_is_none(kept: Kept, amount: int) -> None:
    kept.grant("g", 10)
    with pytest.raises(InvalidRequest, match="amount of credits"):
        kept.grant("x", amount)
    with pytest.raises(InvalidRequest, match="amount of credits"):
        kept.reserve("x", amount)
    kept.reserve("r", 1)
    if amount:
        with pytest.raises(InvalidRequest, match="amount of credits"):
            kept.settle("r", amount)


def test_an_account_earns_no_more_than_every_reader_has_exactly(kept: Kept) -> None:
    kept.grant("g", MAX_AMOUNT)
    kept.reserve("r", MAX_AMOUNT)
    kept.settle("r", MAX_AMOUNT)
    for change in (grant("x", 1, "", NOW), adjust("x", 1, "", NOW)):
        with pytest.raises(InvalidRequest, match="earns at most"):
            kept.do("x", change)
    assert kept.look() == Balance(0, 0, MAX_AMOUNT, MAX_AMOUNT, 2)


@pytest.mark.parametrize("until", [NOW, NOW - 1])
def test_nothing_begins_that_would_be_over(kept: Kept, until: int) -> None:
    kept.grant("g", 10)
    with pytest.raises(InvalidRequest, match="expired already"):
        kept.grant("x", 10, until=until)
    with pytest.raises(InvalidRequest, match="expired already"):
        kept.reserve("x", 1, until=until)


def test_more_than_was_reserved_is_spent_only_if_it_is_available(kept: Kept) -> None:
    kept.grant("g", 10)
    kept.reserve("r", 4)
    kept.reserve("s", 5)
    with pytest.raises(InsufficientCredits) as refusal:
        kept.settle("r", 6)
    assert (refusal.value.required, refusal.value.available) == (2, 1)
    moved = kept.settle("r", 5)
    assert moved is not None
    assert (moved.amount, moved.balance) == (-5, 5)
    assert kept.look().available == 0


def test_asked_for_again_once_it_has_expired_it_is_expired(kept: Kept) -> None:
    kept.grant("g", 10)
    kept.reserve("r", 4, until=LATER)
    assert kept.reserve("r", 4, now=LATER, until=LATER + 5) is Status.EXPIRED
    assert kept.state.available == 10
    assert kept.reserve("r", 4, now=LATER, until=LATER + 5) is Status.EXPIRED
    assert kept.receipts["r"].status is Status.EXPIRED


def test_an_extension_that_is_none_changes_nothing(kept: Kept) -> None:
    kept.grant("g", 10)
    kept.reserve("r", 4, until=LATER)
    for until in (LATER, LATER - 1):
        before = kept.state
        assert kept.do("r", extend("r", NOW, until)).state is before
    kept.do("r", extend("r", NOW, LATER + 1))
    assert kept.look(LATER).available == 6
    assert kept.look(LATER + 1).available == 10
    with pytest.raises(NotFound):
        kept.do("r", extend("r", LATER + 1, LATER + 9))


def test_what_goes_back_to_a_lot_that_has_expired_is_gone(kept: Kept) -> None:
    kept.grant("short", 5, until=NOW + 10)
    kept.grant("ever", 5)
    kept.reserve("r", 7)
    assert kept.look(NOW + 10).balance == 10  # it is held
    kept.do("r", release("r", NOW + 11))
    assert kept.look(NOW + 11) == Balance(5, 5, 10, 0, 3)
    assert kept.moved[-1].kind is Kind.EXPIRED
    assert kept.moved[-1].amount == -5


def test_what_is_spent_of_a_reservation_is_what_was_taken_first(kept: Kept) -> None:
    kept.grant("last", 5, priority=2)
    kept.grant("second", 5, priority=1)
    kept.grant("first", 5, priority=1, until=LATER)
    kept.reserve("r", 12)
    kept.settle("r", 7)
    assert [(lot.priority, lot.left) for lot in kept.state.lots] == [(1, 3), (2, 5)]


def test_an_account_that_is_given_to_again_and_again_stays_small(kept: Kept) -> None:
    for number in range(100):
        kept.grant(f"g{number}", 2)
        kept.do(f"a{number}", adjust(f"a{number}", 1, "more", NOW))
        kept.reserve(f"r{number}", 3 * (number + 1))
        kept.do(f"r{number}", release(f"r{number}", NOW))
    assert [(lot.left, lot.number) for lot in kept.state.lots] == [(300, 0)]


def test_lots_that_expire_together_are_told_apart(kept: Kept) -> None:
    kept.grant("one", 3, until=LATER)
    kept.grant("two", 4, until=LATER)
    kept.reserve("r", 5, until=NOW + 1)
    kept.look(LATER)
    expired = [(one.transaction_id, one.amount) for one in kept.moved[2:]]
    assert expired == [("one:expired:3", -3), ("two:expired:4", -4)]


def test_looking_at_an_account_on_which_nothing_is_due_changes_nothing(kept: Kept) -> None:
    kept.grant("g", 10, until=LATER)
    kept.reserve("r", 4)
    assert kept.do("", look(NOW + 1)).state is kept.state
    assert kept.state.due_at == LATER
