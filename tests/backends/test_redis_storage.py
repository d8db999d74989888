"""Records in Valkey: conformance, and what is its own."""

from __future__ import annotations

from functools import partial

import pytest

from lbproto import Overloaded, UsageError
from lbproto.backends.redis_storage import RedisStorage
from lbproto.testing.storage import MakeStorage, PassTime, StorageSuite
from tests.backends.redis_limiting import PATIENCE
from tests.ledger.servers import Valkey, failing_line
from tests.serving import free_port

pytestmark = pytest.mark.anyio


@pytest.fixture
def make_storage(valkey: Valkey, prefix: str) -> MakeStorage:
    return partial(RedisStorage, valkey.url, prefix=prefix, timeout=PATIENCE)


@pytest.fixture
def pass_time(valkey: Valkey, prefix: str) -> PassTime:
    """What is there gets older, so that nobody has to wait."""

    async def pass_time(seconds: float) -> None:
        older = f"-{round(seconds * 1000)}"
        for key in valkey.command("KEYS", f"{prefix}:*"):
            if valkey.command("TYPE", key) == b"zset":
                for name in valkey.command("ZRANGE", key, "0", "-1"):
                    valkey.command("ZINCRBY", key, older, name)
            if (left := valkey.command("PTTL", key)) > 0:
                valkey.command("PEXPIRE", key, str(left + int(older)))

    return pass_time


class TestRedisStorage(StorageSuite):
    @pytest.fixture
    def make_storage(self, make_storage: MakeStorage) -> MakeStorage:
        return make_storage

    @pytest.fixture
    def pass_time(self, pass_time: PassTime) -> PassTime:
        return pass_time


async def test_nothing_is_left_of_what_has_expired(
    make_storage: MakeStorage, pass_time: PassTime, valkey: Valkey, prefix: str
) -> None:
    async with make_storage() as storage:
        for number in range(5):
            await storage.put(f"in/{number}", b"x", ttl=100 + number)
        await storage.put("in/ever", b"x")
        await pass_time(102)
        await storage.put("in/another", b"x", ttl=50)
        assert valkey.command("ZCARD", f"{prefix}:index:{{/in}}") == 4
        assert await storage.delete("in/ever")
        await pass_time(50)
        assert valkey.command("KEYS", f"{prefix}:*") == []


async def test_a_key_that_holds_something_else_is_said(
    make_storage: MakeStorage, valkey: Valkey, prefix: str
) -> None:
    async with make_storage() as storage:
        valkey.command("RPUSH", f"{prefix}:record:n", "1")
        with pytest.raises(ValueError, match="wrong kind"):
            await storage.increment("n")


async def test_what_is_only_read_or_replaced_is_asked_again_where_the_answer_is_lost(
    valkey: Valkey, prefix: str
) -> None:
    async with failing_line(valkey.url) as line, RedisStorage(line.url, prefix=prefix) as storage:
        line.lose_answer(b"{/in}")
        await storage.put("in/a", b"1")
        line.lose_answer(b"GET")
        assert await storage.get("in/a") == b"1"
        line.lose_answer(b"list")
        assert await storage.children("in") == {"a": b"1"}
        assert line.lost == 3
        for ask in (
            storage.increment("in/n"),
            storage.put_new("in/n", b""),
            storage.delete("in/a"),
        ):
            line.lose_answer(b"{/in}")
            with pytest.raises(Overloaded, match="The storage cannot be reached"):
                await ask
        assert line.lost == 6
        assert await storage.children("in") == {"n": b"1"}  # once


async def test_a_server_that_is_not_there() -> None:
    with pytest.raises(Overloaded, match="The storage cannot be reached"):
        await RedisStorage(f"redis://127.0.0.1:{free_port()}").__aenter__()


async def test_a_user_who_is_not_let_in(valkey: Valkey) -> None:
    url = valkey.url.replace("redis://", "redis://nobody:wrong@")
    with pytest.raises(UsageError, match="refuses the connection"):
        await RedisStorage(url).__aenter__()


def test_a_prefix_with_braces() -> None:
    with pytest.raises(UsageError, match="braces"):
        RedisStorage("redis://127.0.0.1", prefix="{a}")
