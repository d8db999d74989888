"""The tables of accounts in PostgreSQL, and how those of an earlier version become these."""

from __future__ import annotations

from typing import Any

from asyncpg import Record
from asyncpg.pool import PoolConnectionProxy

from lbproto.errors import UsageError

__all__ = ["migrate"]

_LOCK = 1_819_500_388
"""First half of the advisory lock that one migrates at a time by; the schema is the other."""

_MIGRATION_SECONDS = 600.0  # seconds that a migration may take

_MIGRATIONS = (
    """
    CREATE TABLE accounts (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        application_id text NOT NULL,
        user_id text NOT NULL,
        stamp bytea NOT NULL,
        state bytea NOT NULL,
        balance bigint NOT NULL CHECK (balance >= 0),
        version bigint NOT NULL,
        due_at bigint,
        UNIQUE (application_id, user_id)
    );
    CREATE INDEX accounts_due ON accounts (due_at) WHERE due_at IS NOT NULL;

    CREATE TABLE movements (
        account_id bigint NOT NULL REFERENCES accounts,
        version bigint NOT NULL,
        kind text NOT NULL,
        amount bigint NOT NULL CHECK (amount <> 0),
        balance bigint NOT NULL CHECK (balance >= 0),
        earned bigint NOT NULL,
        spent bigint NOT NULL,
        reason text NOT NULL,
        transaction_id text NOT NULL,
        at bigint NOT NULL,
        PRIMARY KEY (account_id, version)
    );
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'movements of credits are never changed'
                USING ERRCODE = 'restrict_violation';
        END
    $$;
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON movements
        FOR EACH STATEMENT EXECUTE FUNCTION refuse();

    CREATE TABLE receipts (
        account_id bigint NOT NULL REFERENCES accounts,
        transaction_id text NOT NULL,
        receipt bytea NOT NULL,
        PRIMARY KEY (account_id, transaction_id)
    );
    """,
)
"""Each makes of the version before it the next one. What was released is never edited."""


async def migrate(connection: PoolConnectionProxy[Record], schema: str) -> None:
    """Bring the tables to the version that this code is for, and make them where there are none.

    Where they are of that version already it takes no right to create anything.

    Args:
        connection: whose `search_path` is the schema.

    Raises:
        UsageError: they are of a later version.
    """
    if await _version(connection) == len(_MIGRATIONS):
        return
    async with connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = 0")
        lock = "SELECT pg_advisory_xact_lock($1, hashtext($2))"
        await connection.execute(lock, _LOCK, schema, timeout=_MIGRATION_SECONDS)
        statement = "SELECT format('CREATE SCHEMA IF NOT EXISTS %I', $1::text)"
        await connection.execute(await connection.fetchval(statement, schema))
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations"
            " (version int PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"
        )
        version = await _version(connection)
        if version > len(_MIGRATIONS):
            raise UsageError("The tables of credits are of a later version of lbproto: update it")
        for number, script in enumerate(_MIGRATIONS[version:], version + 1):
            await connection.execute(script, timeout=_MIGRATION_SECONDS)
            await connection.execute("INSERT INTO migrations (version) VALUES ($1)", number)


async def _version(connection: PoolConnectionProxy[Record]) -> int:
    if await connection.fetchval("SELECT to_regclass('migrations')") is None:
        return 0
    version: Any = await connection.fetchval("SELECT coalesce(max(version), 0) FROM migrations")
    return int(version)
