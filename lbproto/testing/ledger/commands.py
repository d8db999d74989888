"""Commands on a store: what they come to, and that it is kept as it was told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lbproto.errors import InsufficientCredits, InvalidRequest, NotFound
from lbproto.ledger.account import (
    MAX_AMOUNT,
    Account,
    Balance,
    Change,
    Kind,
    Outcome,
    Receipt,
    State,
    Status,
)
from lbproto.ledger.commands import adjust, grant, release, reserve, settle
from lbproto.ledger.store import LedgerStore
from lbproto.testing.ledger.base import BaseSuite
from lbproto.testing.ledger.book import NOW, Book

__all__ = ["CommandsSuite"]

_FAR = 253_402_300_799_000  # the end of the year 9999, in ms since the Unix epoch
_ODD = ["", " ", "x" * 512, "ключ", "🦊", "a'b\"c; --", "a\\b%_*?[]{}", "a\nb"]

_AGAIN: dict[str, tuple[Callable[[int], Change[Any]], list[Change[Any]]]] = {
    # A command at a moment, and what is refused by its id afterwards.
    "grant": (
        lambda now: grant("t", 5, "gift", now, priority=1, expires_at=_FAR),
        [
            grant("t", 6, "gift", NOW, priority=1, expires_at=_FAR),
            grant("t", 5, "other", NOW, priority=1, expires_at=_FAR),
            grant("t", 5, "gift", NOW, priority=1),
            adjust("t", 5, "gift", NOW),
            reserve("t", 5, "gift", NOW, _FAR),
        ],
    ),
    "adjust": (
        lambda now: adjust("t", -5, "mistake", now),
        [adjust("t", 5, "mistake", NOW), adjust("t", -5, "other", NOW), grant("t", 5, "", NOW)],
    ),
    "reserve": (
        lambda now: reserve("t", 5, "buy", now, _FAR),
        [
            reserve("t", 6, "buy", NOW, _FAR),
            reserve("t", 5, "sell", NOW, _FAR),
            grant("t", 5, "buy", NOW),
            adjust("t", 5, "buy", NOW),
        ],
    ),
    "settle": (
        lambda now: settle("open", 3, now),
        [settle("open", 4, NOW), settle("open", 0, NOW), release("open", NOW)],
    ),
    "release": (lambda now: release("open", now), [grant("open", 4, "buy", NOW)]),
}


class CommandsSuite(BaseSuite):
    """Each command, again and again, and others by its id."""

    async def test_an_account_nobody_knows_is_empty(self, ledger: LedgerStore, book: Book) -> None:
        assert await book.look() == Balance(0, 0, 0, 0, 0)
        assert await ledger.movements(book.account) == []
        assert await ledger.due(_FAR) == []

    async def test_two_phases(self, ledger: LedgerStore, book: Book) -> None:
        granted = await book.grant("g", 10)
        held = await book.reserve("r", 4)
        assert held.status is Status.OPEN
        assert await book.look() == Balance(10, 6, 10, 0, 1)
        spent = await book.settle("r", 3, NOW + 5)
        assert await book.look() == Balance(7, 7, 10, 3, 2)
        assert spent is not None
        assert (spent.kind, spent.amount, spent.balance) == (Kind.DEDUCTED, -3, 7)
        assert (spent.reason, spent.transaction_id, spent.at) == ("buy", "r", NOW + 5)
        assert await ledger.movements(book.account) == [spent, granted]

    async def test_what_a_change_comes_to_is_what_one_is_told(
        self, ledger: LedgerStore, book: Book
    ) -> None:
        await book.grant("g", 10, until=NOW + 9)
        change = reserve("r", 4, "buy", NOW, NOW + 5)
        seen: list[tuple[State, Receipt | None]] = []

        def watched(state: State, known: Receipt | None) -> Outcome[Any]:
            seen.append((state, known))
            return change(state, known)

        outcome = await ledger.transact(book.account, "r", watched)
        assert outcome == change(*seen[-1])
        again = await ledger.transact(book.account, "r", watched)
        assert seen[-1] == (outcome.state, None)
        assert again == Outcome(outcome.state, [], {}, outcome.answer)

    async def test_moments_and_amounts_may_be_large(self, ledger: LedgerStore, book: Book) -> None:
        await book.grant("g", MAX_AMOUNT, until=_FAR)
        await book.reserve("r", MAX_AMOUNT, _FAR - 2, until=_FAR - 1)
        assert await ledger.due(_FAR - 2) == []
        assert await ledger.due(_FAR - 1) == [book.account]
        await book.settle("r", MAX_AMOUNT - 1, _FAR - 2)
        assert await book.look(_FAR - 1) == Balance(1, 1, MAX_AMOUNT, MAX_AMOUNT - 1, 2)
        assert await book.look(_FAR) == Balance(0, 0, MAX_AMOUNT, MAX_AMOUNT - 1, 3)
        with pytest.raises(InvalidRequest):
            await book.grant("h", 1)
        await book.check()

    # Idempotency

    @pytest.mark.parametrize("command", _AGAIN)
    async def test_a_command_again_has_the_same_answer(self, command: str, book: Book) -> None:
        await self._prepare(book)
        make, _ = _AGAIN[command]
        name = "open" if command in ("settle", "release") else "t"
        first = await book.do(name, make(NOW))
        stood = await book.look()
        for later in (NOW, NOW + 1_000, NOW - 1_000):
            assert await book.do(name, make(later)) == first
        assert await book.look() == stood
        await book.check()

    @pytest.mark.parametrize("command", _AGAIN)
    async def test_another_command_by_its_id_is_refused(self, command: str, book: Book) -> None:
        await self._prepare(book)
        make, others = _AGAIN[command]
        name = "open" if command in ("settle", "release") else "t"
        await book.do(name, make(NOW))
        stood = await book.look()
        for other in others:
            with pytest.raises(InvalidRequest):
                await book.do(name, other)
        assert await book.look() == stood
        await book.check()

    async def _prepare(self, book: Book) -> None:
        await book.grant("g", 100)
        await book.reserve("open", 4)

    async def test_transaction_ids_are_an_accounts_own(self, ledger: LedgerStore) -> None:
        books = [Book(ledger, Account(user)) for user in ("ann", "bob")]
        for number, book in enumerate(books):
            await book.grant("same", 5 + number)
        assert [(await book.look()).balance for book in books] == [5, 6]

    # Reservations

    async def test_a_reservation_is_resolved_once(self, book: Book) -> None:
        await self._prepare(book)
        await book.release("open")
        assert (await book.reserve("open", 4)).status is Status.RELEASED
        with pytest.raises(NotFound):
            await book.settle("open", 4)
        with pytest.raises(NotFound):
            await book.extend("open", NOW + 90_000)
        await book.reserve("other", 4)
        assert await book.settle("other", 0) is None
        assert (await book.reserve("other", 4)).status is Status.SETTLED
        with pytest.raises(InvalidRequest):
            await book.release("other")
        assert await book.look() == Balance(100, 100, 100, 0, 1)

    async def test_of_a_transaction_nobody_knows_nothing_is_resolved(self, book: Book) -> None:
        await book.grant("g", 10)
        for name in ("never", "g"):
            with pytest.raises(NotFound):
                await book.settle(name, 1)
            with pytest.raises(NotFound):
                await book.release(name)
            with pytest.raises(NotFound):
                await book.extend(name, NOW + 90_000)
        assert await book.look() == Balance(10, 10, 10, 0, 1)

    async def test_too_little_reserves_nothing(self, ledger: LedgerStore, book: Book) -> None:
        await book.grant("g", 10)
        await book.reserve("r", 7)
        with pytest.raises(InsufficientCredits) as refusal:
            await book.reserve("s", 4)
        assert (refusal.value.required, refusal.value.available) == (4, 3)
        with pytest.raises(InsufficientCredits):
            await book.adjust("down", -4)
        with pytest.raises(InsufficientCredits):
            await book.settle("r", 11)
        assert len(await ledger.movements(book.account)) == 1
        assert (await book.reserve("s", 3)).status is Status.OPEN  # the id was not used up
        await book.check()

    async def test_a_reservation_ends_by_itself(self, ledger: LedgerStore, book: Book) -> None:
        await book.grant("g", 10)
        await book.reserve("r", 4, until=NOW + 5)
        await book.reserve("s", 3, until=NOW + 9)
        await book.extend("r", NOW + 7)
        assert (await book.look(NOW + 6)).available == 3
        assert await ledger.due(NOW + 6) == []
        assert await ledger.due(NOW + 7) == [book.account]
        with pytest.raises(NotFound):
            await book.settle("r", 4, NOW + 7)
        assert (await book.look(NOW + 7)).available == 7
        assert await ledger.due(NOW + 7) == []
        assert (await book.reserve("r", 4, NOW + 7)).status is Status.EXPIRED
        assert await book.settle("s", 3, NOW + 8) is not None
        assert await ledger.due(_FAR) == []
        await book.check()

    # Grants

    async def test_lots_are_spent_in_their_order(self, ledger: LedgerStore, book: Book) -> None:
        await book.grant("ever", 10)
        await book.grant("late", 10, until=NOW + 200)
        await book.grant("soon", 10, until=NOW + 100)
        await book.grant("last", 10, until=NOW + 50, priority=1)
        await book.reserve("r", 25)
        await book.settle("r", 22)
        assert (await book.look()).balance == 18
        assert (await book.look(NOW + 50)).balance == 8  # what was left of the last
        assert (await book.look(NOW + 200)).balance == 8  # nothing of those that were spent
        kinds = [one.kind for one in await ledger.movements(book.account)]
        assert kinds.count(Kind.EXPIRED) == 1
        await book.check()

    async def test_what_is_left_of_a_grant_expires(self, ledger: LedgerStore, book: Book) -> None:
        await book.grant("soon", 10, until=NOW + 100)
        await book.grant("ever", 1)
        await book.reserve("r", 4, until=NOW + 150)
        assert await ledger.due(NOW + 99) == []
        assert await ledger.due(NOW + 100) == [book.account]
        assert await book.look(NOW + 100) == Balance(5, 1, 11, 0, 3)
        await book.settle("r", 1, NOW + 101)
        assert await book.look(NOW + 101) == Balance(1, 1, 11, 1, 5)
        history = await ledger.movements(book.account)
        assert [(one.kind, one.amount) for one in history[:3]] == [
            (Kind.EXPIRED, -3),
            (Kind.DEDUCTED, -1),
            (Kind.EXPIRED, -6),
        ]
        await book.check()

    async def test_an_id_that_looks_like_an_expiry_is_an_id(self, book: Book) -> None:
        await book.grant("g", 5, until=NOW + 10)
        await book.grant("g:expired:3", 5, until=NOW + 20)
        assert (await book.look(NOW + 20)).balance == 0
        await book.grant("g:expired:9", 5)
        assert (await book.look(NOW + 20)).balance == 5
        await book.check()

    # Looking

    async def test_history_by_cursor(self, ledger: LedgerStore, book: Book) -> None:
        for number in range(25):
            await book.grant(f"g{number}", number + 1)
        await Book(ledger, Account("bob")).grant("g", 1)
        seen: list[int] = []
        before: int | None = None
        while page := await ledger.movements(book.account, before, 10):
            seen += [one.amount for one in page]
            before = page[-1].version
        assert seen == list(range(25, 0, -1))
        assert len(await ledger.movements(book.account)) == 25
        assert [one.version for one in await ledger.movements(book.account, 3, 10)] == [2, 1]
        assert [one.version for one in await ledger.movements(book.account, 99, 1)] == [25]
        assert await ledger.movements(book.account, 1) == []

    async def test_a_hundred_movements_are_told_unless_one_asks(
        self, ledger: LedgerStore, book: Book
    ) -> None:
        for number in range(103):
            await book.grant(f"g{number}", 1)
        told = [one.version for one in await ledger.movements(book.account)]
        assert told == list(range(103, 3, -1))

    async def test_accounts_are_due_until_they_are_looked_at(self, ledger: LedgerStore) -> None:
        books = [Book(ledger, Account(f"user-{number}", "app")) for number in range(7)]
        for number, book in enumerate(books):
            await book.grant("g", 5, until=NOW + 10 + number)
        first = {book.account for book in books[:5]}
        assert set(await ledger.due(NOW + 14)) == first
        some = await ledger.due(NOW + 14, 2)
        assert len(some) == len(set(some)) == 2
        assert set(some) < first
        for book in books[:5]:
            await book.look(NOW + 14)
        assert await ledger.due(NOW + 14) == []
        assert set(await ledger.due(_FAR)) == {book.account for book in books[5:]}

    # Ids

    @pytest.mark.parametrize("odd", _ODD, ids=ascii)
    async def test_any_id(self, ledger: LedgerStore, odd: str) -> None:
        book = Book(ledger, Account(f"u{odd}", f"a{odd}"))
        movement = await book.grant(f"t{odd}", 5, reason=odd, until=NOW + 10)
        assert (movement.transaction_id, movement.reason) == (f"t{odd}", odd)
        await book.do(f"r{odd}", reserve(f"r{odd}", 5, odd, NOW, NOW + 10))
        await book.do(f"r{odd}", reserve(f"r{odd}", 5, odd, NOW, NOW + 10))
        assert await ledger.due(NOW + 10) == [book.account]
        spent = await book.settle(f"r{odd}", 5)
        assert await ledger.movements(book.account) == [spent, movement]

    async def test_accounts_are_told_apart(self, ledger: LedgerStore) -> None:
        pairs = [("a:b", "c"), ("a", "b:c"), ("a/b", "c"), ("a", "b/c"), ("a|b", "c"), ("a", "b|c")]
        pairs += [("a", "c"), ("A", "c"), ("a ", "c"), ("", "ac"), ("ac", "")]
        pairs += [("é", "c"), ("e\u0301", "c"), ("c", "a")]
        books = [Book(ledger, Account(*pair)) for pair in pairs]
        for number, book in enumerate(books, 1):
            await book.grant("g", number)
        balances = [(await book.look()).balance for book in books]
        assert balances == list(range(1, len(books) + 1))

    async def test_an_id_with_a_nul_is_kept_or_refused(self, ledger: LedgerStore) -> None:
        known = Book(ledger, Account("a"))
        await known.grant("t", 1)
        for account in (Account("a\x00"), Account("a\x00b"), Account("a", "c\x00")):
            book = Book(ledger, account)
            try:
                movement = await book.grant("t\x00", 5)
            except InvalidRequest:
                continue
            assert await ledger.movements(account) == [movement]
            assert await book.grant("t\x00", 5) == movement
        assert (await known.look()).balance == 1
