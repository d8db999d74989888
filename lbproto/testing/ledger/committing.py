"""Commands that come together, fail, or are cut off: each is committed whole, once, for good."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from itertools import count
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

from lbproto.errors import InsufficientCredits, InvalidRequest, Overloaded, UsageError
from lbproto.ledger.account import Account, Balance, Kind, Outcome, Receipt, State, Status
from lbproto.ledger.commands import reserve
from lbproto.ledger.draft import Draft
from lbproto.ledger.store import LedgerStore
from lbproto.testing.ledger.base import BaseSuite, MakeLedger
from lbproto.testing.ledger.book import NOW, Book

__all__ = ["CommittingSuite"]

_TASKS = 64


class _Bug(Exception):
    """What a command raises that no store can know."""


class CommittingSuite(BaseSuite):
    """Concurrency, atomicity and durability."""

    # Together

    async def test_many_spend_one_account_to_exactly_nothing(self, book: Book) -> None:
        await book.grant("g", 150)
        assert await self._spend(book) == [1] * 150
        assert await book.look() == Balance(0, 0, 150, 150, 151)
        await book.check()

    async def test_two_nodes_spend_one_account_to_exactly_nothing(
        self, make_ledger: MakeLedger
    ) -> None:
        async with make_ledger("shared") as one, make_ledger("shared") as two:
            books = [Book(ledger, Account("ann")) for ledger in (one, two)]
            await books[0].grant("g", 150)
            assert await self._spend(*books) == [1] * 150
            for book in books:
                assert await book.look() == Balance(0, 0, 150, 150, 151)
                await book.check()

    async def _spend(self, *books: Book) -> list[int]:
        """Have many tasks spend until there is nothing left; every amount that was spent."""
        spent: list[int] = []

        async def spend(number: int) -> None:
            book = books[number % len(books)]
            for turn in count():
                name = f"{number}-{turn}"
                try:
                    await book.reserve(name, 2)
                except InsufficientCredits:
                    return
                moved = await book.settle(name, 1)
                assert moved is not None
                spent.append(-moved.amount)

        async def spend_last(number: int) -> None:  # whoever ended last may have left one
            book = books[number % len(books)]
            try:
                await book.reserve(f"last-{number}", 1)
            except InsufficientCredits:
                return
            await book.settle(f"last-{number}", 1)
            spent.append(1)

        await _together(spend)
        await _together(spend_last)
        return spent

    async def test_many_ask_for_the_same_at_once(self, book: Book) -> None:
        await book.grant("g", 10)
        answers: list[Any] = []

        async def ask(number: int) -> None:
            answers.append(await book.adjust("down", -4))
            answers.append((await book.reserve("r", 5)).status)

        await _together(ask)
        assert answers.count(answers[0]) == answers.count(Status.OPEN) == _TASKS
        assert await book.look() == Balance(6, 1, 10, 0, 2)
        await book.check()

    async def test_many_ask_for_different_things_by_one_id(self, book: Book) -> None:
        await book.grant("g", 1_000)
        answers: list[int] = []
        refused: list[int] = []

        async def ask(number: int) -> None:
            try:
                answers.append((await book.reserve("r", number + 1)).amount)
            except InvalidRequest:
                refused.append(number + 1)

        await _together(ask)
        assert (len(answers), len(refused)) == (1, _TASKS - 1)
        assert (await book.look()).available == 1_000 - answers[0]

    async def test_accounts_do_not_mix(self, ledger: LedgerStore) -> None:
        books = [Book(ledger, Account(f"user-{number}")) for number in range(_TASKS)]

        async def use(number: int) -> None:
            book = books[number]
            await book.grant("g", 100 + number)
            await book.reserve("r", 50)
            await book.settle("r", number % 50)

        await _together(use)
        for number, book in enumerate(books):
            left = 100 + number - number % 50
            assert (await book.look()).balance == left
            await book.check()

    # Failure

    async def test_what_raises_changes_nothing(self, ledger: LedgerStore, book: Book) -> None:
        await book.grant("g", 10)
        stood = await book.state()

        def change(state: State, known: Receipt | None) -> Outcome[None]:
            reserve("r", 4, "buy", NOW, NOW + 9)(state, known)
            raise _Bug

        with pytest.raises(_Bug):
            await ledger.transact(book.account, "r", change)
        assert await book.state() == stood
        assert (await book.reserve("r", 5)).status is Status.OPEN
        await book.check()

    async def test_what_raises_disturbs_nobody(self, ledger: LedgerStore, book: Book) -> None:
        raised: list[int] = []

        def bug(state: State, known: Receipt | None) -> Outcome[None]:
            raise _Bug

        async def use(number: int) -> None:
            if number % 3 == 0:
                try:
                    await ledger.transact(book.account, f"g{number}", bug)
                except _Bug:
                    raised.append(number)
            elif number % 3 == 1:
                with pytest.raises(InvalidRequest):
                    await book.grant(f"g{number}", 0)
            else:
                await book.grant(f"g{number}", 1)

        await _together(use)
        assert len(raised) == len(range(0, _TASKS, 3))
        assert (await book.look()).balance == len(range(2, _TASKS, 3))
        await book.check()

    async def test_a_change_is_committed_as_a_whole(self, ledger: LedgerStore, book: Book) -> None:
        def change(state: State, known: Receipt | None) -> Outcome[str]:
            draft = Draft(state, NOW)
            for name in ("one", "two", "three"):
                moved = draft.move(Kind.GRANTED, 5, "gift", name)
                draft.add(5, 0, None, moved)
                draft.receipts[name] = Receipt(("grant", 5, "gift\n0\nNone"), Status.DONE, moved)
            return draft.outcome("done")

        outcome = await ledger.transact(book.account, "one", change)
        assert outcome.answer == "done"
        assert await book.history() == outcome.movements
        for moved in outcome.movements:
            assert await book.grant(moved.transaction_id, 5) == moved
        assert await book.look() == Balance(15, 15, 15, 0, 3)
        await book.check()

    async def test_who_has_stopped_waiting_is_no_trouble(self, book: Book) -> None:
        await book.grant("g", 1_000)

        async def ask(number: int) -> None:
            with anyio.move_on_after(0 if number % 2 else 60):
                await book.reserve(f"r{number}", 1)
                await book.settle(f"r{number}", 1)

        await _together(ask)
        for number in range(_TASKS):
            name = f"r{number}"
            if (await book.reserve(name, 1)).status is Status.OPEN:
                await book.settle(name, 1)
        assert await book.look() == Balance(1_000 - _TASKS, 1_000 - _TASKS, 1_000, _TASKS, 65)
        await book.check()

    # Closed, and opened again

    async def test_opened_again_everything_is_there(self, make_ledger: MakeLedger) -> None:
        async with make_ledger("kept") as ledger:
            book = Book(ledger, Account("ann"))
            granted = await book.grant("g", 10, until=NOW + 500)
            await book.reserve("done", 4)
            spent = await book.settle("done", 3)
            await book.reserve("open", 2, until=NOW + 100)
            stood = await book.state()
        async with make_ledger("kept") as ledger:
            book = Book(ledger, Account("ann"))
            await self._is_as_it_was(book, stood)
            assert await book.history() == [granted, spent]
            assert await book.grant("g", 10, until=NOW + 500) == granted
            assert await book.settle("done", 3) == spent
            assert await ledger.due(NOW + 100) == [book.account]
            assert (await book.look(NOW + 100)).available == 7

    async def test_after_a_crash_what_one_was_told_is_there(
        self, make_ledger: MakeLedger, crash: Callable[[str], str]
    ) -> None:
        async with make_ledger("kept") as ledger:
            book = Book(ledger, Account("ann"))
            await book.grant("g", 10)
            await book.reserve("r", 4)
            spent = await book.settle("r", 3)
            await book.reserve("open", 2)
            stood = await book.state()
            async with make_ledger(crash("kept")) as survivor:
                book = Book(survivor, Account("ann"))
                await self._is_as_it_was(book, stood)
                assert await book.settle("r", 3) == spent
                assert await book.settle("open", 2) is not None
                await book.check()

    async def _is_as_it_was(self, book: Book, stood: State) -> None:
        assert await book.state() == stood
        await book.check()

    async def test_what_is_under_way_when_it_is_closed_is_told_or_not_known(
        self, make_ledger: MakeLedger
    ) -> None:
        told: set[str] = set()
        begun = 0

        async def give(number: int) -> None:
            nonlocal begun
            begun += 1
            with suppress(Overloaded, UsageError):
                told.add((await book.grant(f"g{number}", 1)).transaction_id)

        async with anyio.create_task_group() as tasks, make_ledger("kept") as ledger:
            book = Book(ledger, Account("ann"))
            for number in range(_TASKS):
                tasks.start_soon(give, number)
            while begun < _TASKS:
                await checkpoint()
        async with make_ledger("kept") as ledger:
            book = Book(ledger, Account("ann"))
            assert {one.transaction_id for one in await book.history()} >= told
            await book.check()


async def _together(do: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    """Run something in many tasks, each with a number of its own."""
    async with anyio.create_task_group() as tasks:
        for number in range(_TASKS):
            tasks.start_soon(do, number)
