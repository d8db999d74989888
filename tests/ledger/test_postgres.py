"""The ledger on PostgreSQL: conformance, faults, and what is its own."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto.errors import UsageError
from lbproto.ledger.account import Account, Movement, Outcome, Receipt, State
from lbproto.ledger.commands import adjust
from lbproto.ledger.postgres import PostgresLedger, _kept, _told
from lbproto.ledger.store import LedgerStore
from lbproto.testing.ledger import NOW, Book, LedgerSuite, MakeLedger
from tests.ledger.faults import FaultsSuite
from tests.ledger.servers import Postgres

pytestmark = pytest.mark.anyio

PATIENCE = 60.0  # seconds: the machine may be busy

_numbers = count()


@pytest.fixture
def schema() -> str:
    return f"test-{next(_numbers)}"


class TestPostgresLedger(LedgerSuite):
    interleavings = 3

    @pytest.fixture
    def make_ledger(self, postgres: Postgres, schema: str) -> MakeLedger:
        return lambda name: PostgresLedger(
            postgres.url, schema=f"{schema}-{name}", timeout=PATIENCE
        )

    @pytest.fixture
    def crash(self, postgres: Postgres) -> Callable[[str], str]:
        crashes = count()

        def crash(name: str) -> str:
            if next(crashes) % 4 == 0:  # else the node alone: it is quicker
                postgres.kill()
                postgres.start()
            return name

        return crash


class TestFaults(FaultsSuite):
    @pytest.fixture
    def server(self, postgres: Postgres) -> Postgres:
        return postgres

    @pytest.fixture
    def make(self, schema: str) -> Callable[..., LedgerStore]:
        def make(url: str, timeout: float = PATIENCE, **options: Any) -> LedgerStore:
            return PostgresLedger(url, schema=schema, timeout=timeout, **options)

        return make


@pytest.mark.parametrize(
    "sql",
    ["UPDATE movements SET amount = 2", "DELETE FROM movements", "TRUNCATE movements"],
)
async def test_movements_are_never_changed(sql: str, postgres: Postgres, schema: str) -> None:
    async with PostgresLedger(postgres.url, schema=schema) as ledger:
        book = Book(ledger, Account("ann"))
        granted = await book.grant("g", 1)
        with pytest.raises(AssertionError, match="movements of credits are never changed"):
            postgres.ask(sql, schema)
        assert await book.history() == [granted]


async def test_nodes_that_start_together_make_the_tables_once(
    postgres: Postgres, schema: str
) -> None:
    async def start(number: int) -> None:
        async with PostgresLedger(postgres.url, schema=schema) as ledger:
            await Book(ledger, Account("ann")).grant(f"g{number}", 1)

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(start, number)
    assert postgres.ask("SELECT version FROM migrations", schema) == "1"
    assert postgres.ask("SELECT balance FROM accounts", schema) == "4"


async def test_tables_of_a_later_version_are_left_alone(postgres: Postgres, schema: str) -> None:
    async with PostgresLedger(postgres.url, schema=schema):
        pass
    postgres.ask("INSERT INTO migrations VALUES (99)", schema)
    with pytest.raises(UsageError, match="later version"):
        await PostgresLedger(postgres.url, schema=schema).__aenter__()


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("postgresql://stranger@{server}/postgres", 'role "stranger" does not exist'),
        ("postgresql://postgres@{server}/nowhere", 'database "nowhere" does not exist'),
        ("postgresql://{role}@{server}/postgres", "permission denied"),
        ("http://{server}/postgres", "invalid DSN"),
    ],
)
async def test_a_url_that_is_wrong(
    wrong: str, reason: str, postgres: Postgres, schema: str
) -> None:
    role = schema.replace("-", "_")
    postgres.ask(f"CREATE ROLE {role} LOGIN", schema)
    url = wrong.format(server=postgres.url.split("@")[1].split("/")[0], role=role)
    with pytest.raises(UsageError, match=f"PostgreSQL refuses the connection: .*{reason}"):
        await PostgresLedger(url, schema=schema).__aenter__()


async def test_a_role_that_may_make_nothing_and_is_set_to_be_lazy(
    postgres: Postgres, schema: str
) -> None:
    async with PostgresLedger(postgres.url, schema=schema):
        pass
    role = schema.replace("-", "_")
    statements = f"""
        CREATE ROLE {role} LOGIN;
        ALTER ROLE {role} SET synchronous_commit = off;
        ALTER ROLE {role} SET default_transaction_isolation = serializable;
        GRANT USAGE ON SCHEMA "{schema}" TO {role};
        GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA "{schema}" TO {role};
    """
    postgres.ask(statements, schema)
    url = postgres.url.replace("postgres@", f"{role}@")
    async with PostgresLedger(url, schema=schema) as ledger:
        assert ledger._pool is not None
        for setting, value in {
            "synchronous_commit": "on",
            "transaction_isolation": "read committed",
        }.items():
            shown = await ledger._bridge.call(ledger._pool.fetchval, f"SHOW {setting}")
            assert shown == value
        book = Book(ledger, Account("ann"))
        await book.grant("g", 5)
        await book.reserve("r", 2)
        await book.settle("r", 1)
        await book.check()


async def test_whoever_loses_an_account_to_another_node_locks_it(
    postgres: Postgres, schema: str
) -> None:
    async with PostgresLedger(postgres.url, schema=schema) as ledger:
        book = Book(ledger, Account("ann"))
        await book.grant("g", 10)
        command, rivals = adjust("a", -1, "mistake", NOW), list[str]()

        def change(state: State, known: Receipt | None) -> Outcome[Movement]:
            """Has a rival write between the reading and the writing, or try to."""
            try:
                rivals.append(postgres.ask("SET lock_timeout = 100;" + rival, schema))
            except AssertionError as error:
                rivals.append(str(error))
            return command(state, known)

        rival = "UPDATE accounts SET stamp = 'rival' RETURNING 'was first'"
        await ledger.transact(book.account, "a", change)
        first, second = rivals
        assert first == "was first"
        assert "lock timeout" in second
        assert (await book.look()).balance == 9
        await book.check()


@given(st.text(st.sampled_from("\0\1\2a") | st.characters(codec="utf-8")))
def test_any_text_is_kept(text: str) -> None:
    assert "\0" not in _kept(text)
    assert _told(_kept(text)) == text
