"""The ledger on Valkey: conformance, faults, and what is its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from redis.crc import key_slot
from redis.exceptions import ResponseError

from lbproto.errors import UsageError
from lbproto.ledger.account import Account
from lbproto.ledger.redis import RedisLedger
from lbproto.ledger.store import LedgerStore
from lbproto.testing.ledger import NOW, Book, LedgerSuite, MakeLedger
from tests.ledger.faults import FaultsSuite
from tests.ledger.servers import Valkey

pytestmark = pytest.mark.anyio

PATIENCE = 60.0  # seconds: the machine may be busy

_numbers = count()


@pytest.fixture
def prefix() -> str:
    return f"test-{next(_numbers)}"


class TestRedisLedger(LedgerSuite):
    interleavings = 5

    @pytest.fixture
    def make_ledger(self, valkey: Valkey, prefix: str) -> MakeLedger:
        return lambda name: RedisLedger(valkey.url, prefix=f"{prefix}:{name}", timeout=PATIENCE)

    @pytest.fixture
    def crash(self, valkey: Valkey) -> Callable[[str], str]:
        crashes = count()

        def crash(name: str) -> str:
            if next(crashes) % 4 == 0:  # else the node alone: it is quicker
                valkey.kill()
                valkey.start()
            return name

        return crash


class TestFaults(FaultsSuite):
    @pytest.fixture
    def server(self, valkey: Valkey) -> Valkey:
        return valkey

    @pytest.fixture
    def make(self, prefix: str) -> Callable[..., LedgerStore]:
        def make(url: str, timeout: float = PATIENCE, **options: Any) -> LedgerStore:
            return RedisLedger(url, prefix=prefix, timeout=timeout, **options)

        return make


@pytest.mark.parametrize("name", ["ann", "b}o{b", "{}", ""])
async def test_all_keys_of_an_account_are_in_one_slot(
    name: str, valkey: Valkey, prefix: str
) -> None:
    async with RedisLedger(valkey.url, prefix=prefix) as ledger:
        book = Book(ledger, Account(name, "an:app{}"))
        await book.grant("g", 5, until=NOW + 9)
    keys = valkey.command("KEYS", f"{prefix}:*")
    assert len(keys) == 4
    assert len({key_slot(key) for key in keys}) == 1


async def test_the_script_may_be_forgotten(valkey: Valkey, prefix: str) -> None:
    async with RedisLedger(valkey.url, prefix=prefix) as ledger:
        book = Book(ledger, Account("ann"))
        await book.grant("one", 1)
        valkey.command("SCRIPT", "FLUSH")
        await book.grant("two", 1)
        await book.check()


@pytest.mark.parametrize("key", ["movements", "receipts"])
async def test_an_account_that_was_tampered_with_is_not_written(
    key: str, valkey: Valkey, prefix: str
) -> None:
    async with RedisLedger(valkey.url, prefix=prefix) as ledger:
        book = Book(ledger, Account("ann"))
        await book.grant("one", 1)
        (found,) = valkey.command("KEYS", f"{prefix}:*:{key}:*")
        valkey.command("SET", found.decode(), "nonsense")
        with pytest.raises(ResponseError):
            await book.grant("two", 1)
        valkey.command("DEL", found.decode())
        if key == "movements":
            with pytest.raises(ResponseError, match="does not match the account"):
                await book.grant("two", 1)
        assert (await book.look()).balance == 1


def test_a_prefix_has_no_braces(valkey: Valkey) -> None:
    with pytest.raises(UsageError, match="braces"):
        RedisLedger(valkey.url, prefix="{credits}")


@pytest.mark.parametrize("rights", ["-@all", "~* +@all -info"])
async def test_a_user_who_is_not_let_in(rights: str, valkey: Valkey, prefix: str) -> None:
    valkey.command("ACL", "SETUSER", prefix, "on", ">right", *rights.split())
    passwords = ["wrong", "right"]
    for password in passwords:
        url = valkey.url.replace("//", f"//{prefix}:{password}@")
        with pytest.raises(UsageError, match="Redis refuses the connection") as caught:
            await RedisLedger(url, prefix=prefix).__aenter__()
        assert password not in str(caught.value)


async def test_a_server_that_may_forget_is_warned_of(
    prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = Valkey(**{"appendonly": "no", "maxmemory-policy": "allkeys-lru"})
    try:
        with caplog.at_level(logging.WARNING, "lbproto.ledger"):
            async with RedisLedger(server.url, prefix=prefix):
                pass
    finally:
        server.stop()
    assert _warnings(caplog) == [
        "The credit store has `appendonly no`: a restart of it loses credits",
        "The credit store evicts keys (`maxmemory-policy allkeys-lru`)",
    ]


async def test_a_durable_server_is_not_warned_of(
    valkey: Valkey, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "lbproto.ledger"):
        async with RedisLedger(valkey.url, prefix=prefix):
            pass
    assert _warnings(caplog) == []


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for name, _, text in caplog.record_tuples if name == "lbproto.ledger"]
