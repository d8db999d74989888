"""What a store on a server has to survive: subclass the suite, and give it the server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import count
from typing import Any, Protocol

import anyio
import pytest
from anyio import to_thread

from lbproto.errors import Overloaded, UsageError
from lbproto.ledger.account import Account
from lbproto.ledger.commands import grant, look
from lbproto.ledger.store import LedgerStore
from lbproto.testing.ledger import NOW, Book
from tests.ledger.servers import failing_line
from tests.serving import free_port

__all__ = ["FaultsSuite", "Server"]


class Server(Protocol):
    """One that can be ill-treated."""

    @property
    def url(self) -> str: ...
    def kill(self) -> None: ...
    def start(self) -> None: ...
    def suspended(self) -> AbstractContextManager[None]: ...


class FaultsSuite:
    """Servers that are not there, go away, hang, and answer in vain."""

    @pytest.fixture
    def server(self) -> Server:
        raise NotImplementedError

    @pytest.fixture
    def make(self) -> Callable[..., LedgerStore]:
        """Makes a store of this test, given the URL of a server, and options."""
        raise NotImplementedError

    async def test_a_server_that_is_not_there(
        self, server: Server, make: Callable[..., LedgerStore]
    ) -> None:
        head, _, tail = server.url.rpartition(":")
        url = f"{head}:{free_port()}/{tail.partition('/')[2]}"
        with pytest.raises(Overloaded, match="credit store cannot be reached") as caught:
            await make(url).__aenter__()
        assert caught.value.retry_after == 1
        assert caught.value.__cause__ is not None

    async def test_outside_its_block_it_says_so(
        self, server: Server, make: Callable[..., LedgerStore]
    ) -> None:
        async with make(server.url) as ledger:
            pass
        with pytest.raises(UsageError, match="async with"):
            await Book(ledger, Account("ann")).grant("g", 1)

    async def test_a_server_that_comes_back_is_found_again(
        self, server: Server, make: Callable[..., LedgerStore]
    ) -> None:
        async with make(server.url) as ledger:
            books = [Book(ledger, Account(f"user-{number}")) for number in range(4)]

            async def give(name: str) -> None:
                async with anyio.create_task_group() as tasks:  # over several connections
                    for book in books:
                        tasks.start_soon(book.grant, name, 1)

            await give("one")
            await to_thread.run_sync(_restart, server)
            await give("two")
            await to_thread.run_sync(server.kill)
            try:
                for ask in (books[0].look, books[0].history):
                    with pytest.raises(Overloaded, match="credit store cannot be reached"):
                        await ask()
            finally:
                await to_thread.run_sync(server.start)
            await give("three")
            for book in books:
                assert (await book.look()).balance == 3
                await book.check()

    async def test_killed_under_load_it_keeps_what_was_told(
        self, server: Server, make: Callable[..., LedgerStore]
    ) -> None:
        told: dict[str, Any] = {}
        unknown: list[str] = []
        enough, refused, back = anyio.Event(), anyio.Event(), anyio.Event()

        async with make(server.url) as ledger:
            book = Book(ledger, Account("ann"))
            await book.grant("g", 10_000)

            async def spend(number: int) -> None:
                for turn in count():
                    name = f"{number}-{turn}"
                    try:
                        told[name] = await book.adjust(name, -1)
                    except Overloaded:
                        unknown.append(name)
                        refused.set()
                        await back.wait()
                    if len(told) >= 40:
                        enough.set()
                    if back.is_set():
                        return

            async with anyio.create_task_group() as tasks:
                for number in range(16):
                    tasks.start_soon(spend, number)
                await enough.wait()
                await to_thread.run_sync(server.kill)
                await refused.wait()
                await to_thread.run_sync(server.start)
                back.set()
            history = {one.transaction_id: one for one in await book.history()}
            assert {name: history[name] for name in told} == told
            for name in unknown:
                told[name] = await book.adjust(name, -1)
            assert (await book.look()).balance == 10_000 - len(told)
            await book.check()

    async def test_an_answer_that_is_lost_is_found_out(
        self, server: Server, make: Callable[..., LedgerStore]
    ) -> None:
        async with failing_line(server.url) as line, make(line.url) as ledger:
            account = Account("ann")
            line.lose_answer(b"the reason")
            outcome = await ledger.transact(account, "g", grant("g", 5, "the reason", NOW))
            assert line.lost == 1
            assert outcome.movements == [outcome.answer]  # who asked learns what has moved
            assert await ledger.movements(account) == outcome.movements

    async def test_answers_that_are_lost_again_and_again(
        self, server: Server, make: Callable[..., LedgerStore]
    ) -> None:
        async with failing_line(server.url) as line, make(line.url) as ledger:
            book = Book(ledger, Account("ann"))
            await book.grant("g", 10)
            line.lose_answer(b"spend-1", times=9)
            with pytest.raises(Overloaded, match="credit store cannot be reached"):
                await book.adjust("spend-1", -4)
            assert line.lost == 2
            line.lose_answer(b"spend-1", times=0)
            spent = await book.adjust("spend-1", -4)
            assert (await book.history())[1:] in ([spent], [])
            assert (await book.look()).balance == 6
            await book.check()

    async def test_a_server_that_hangs(
        self, server: Server, make: Callable[..., LedgerStore]
    ) -> None:
        async with make(server.url, timeout=2.0, waiting=3) as ledger:
            book, messages = Book(ledger, Account("ann")), list[str]()
            await book.grant("g", 1)

            async def ask(number: int) -> None:
                try:
                    await ledger.transact(Account(f"user-{number}"), "", look(NOW))
                except Overloaded as error:
                    messages.append(error.message)

            async def read() -> None:
                with pytest.raises(Overloaded, match="takes too long"):
                    await book.history()

            with server.suspended():
                async with anyio.create_task_group() as tasks:
                    for number in range(5):
                        tasks.start_soon(ask, number)
                    tasks.start_soon(read)
            assert sorted(messages) == sorted(
                ["The credit store takes too long; try again"] * 3
                + ["Too many wait for the credit store; try again"] * 2
            )
            with anyio.fail_after(60):
                while True:
                    try:
                        assert (await book.look()).balance == 1
                        break
                    except Overloaded:  # what hung is still being given up
                        continue


def _restart(server: Server) -> None:
    server.kill()
    server.start()
