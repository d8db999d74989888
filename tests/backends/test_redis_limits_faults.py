"""Limits counted on Valkey: a server that is away, hangs, or does not let anybody in."""

from __future__ import annotations

import logging

import anyio
import pytest
from anyio import to_thread

from lbproto import Overloaded, Tier, UsageError, Window
from lbproto.backends.redis_limits import RedisLimits
from lbproto.testing.limits import asked
from tests.backends.redis_limiting import PATIENCE, Make, at_once, taken, until
from tests.ledger.servers import Valkey, failing_line
from tests.serving import free_port

pytestmark = pytest.mark.anyio


def elsewhere(url: str) -> str:
    """A URL where there is no server."""
    return f"{url.rpartition(':')[0]}:{free_port()}/0"


async def test_a_server_that_is_not_there_keeps_no_node_from_starting(
    valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "lbproto"):
        async with RedisLimits(elsewhere(valkey.url)) as limits:
            for _ in range(3):
                with pytest.raises(Overloaded, match="cannot be reached") as caught:
                    await taken(limits)
                assert caught.value.__cause__ is not None
    (warning,) = [text for name, _, text in caplog.record_tuples if name.startswith("lbproto")]
    assert warning.startswith("Requests are counted by this node alone: ")


@pytest.mark.parametrize("rights", ["-@all", "~* +@all -evalsha", "~other:* +@all"])
async def test_a_user_who_is_not_let_in(rights: str, valkey: Valkey, prefix: str) -> None:
    valkey.command("ACL", "SETUSER", prefix, "on", ">right", *rights.split())
    for password in ("wrong", "right"):
        url = valkey.url.replace("//", f"//{prefix}:{password}@")
        with pytest.raises(UsageError, match="Redis refuses the connection") as caught:
            await RedisLimits(url, prefix=prefix).__aenter__()
        assert password not in str(caught.value)


async def test_outside_its_block_it_says_so(make: Make) -> None:
    limits = make()
    async with limits:
        pass
    with pytest.raises(UsageError, match="async with"):
        await taken(limits)


async def test_it_may_be_entered_again(make: Make) -> None:
    limits = make()
    async with limits:
        assert await at_once(limits) == 3
    async with limits:
        assert await at_once(limits) == 0


async def test_a_server_that_comes_back_is_found_again(make: Make, valkey: Valkey) -> None:
    async with make() as limits:
        assert await taken(limits)
        await to_thread.run_sync(valkey.kill)
        try:
            for _ in range(3):
                with pytest.raises(Overloaded, match="cannot be reached"):
                    await taken(limits)
        finally:
            await to_thread.run_sync(valkey.start)
        assert await taken(limits)


async def test_a_server_that_hangs(make: Make, valkey: Valkey) -> None:
    """A burst waits for it in vain, once; after that one at a time finds out how it is."""
    messages: list[str] = []

    async def ask(name: str) -> None:
        try:
            await taken(limits, name)
        except Overloaded as error:
            messages.append(error.message.removeprefix("the store of limits "))

    async def ask_at_once(number: int) -> list[str]:
        messages.clear()
        async with anyio.create_task_group() as tasks:
            for each in range(number):
                tasks.start_soon(ask, f"user-{each}")
        return sorted(set(messages))

    async with make(timeout=1.0, waiting=100) as limits:
        with valkey.suspended():
            assert await ask_at_once(90) == ["takes too long"]
            assert len(messages) == 90
            assert await ask_at_once(90) == ["is away", "takes too long"]
            assert messages.count("takes too long") == 1
        with anyio.fail_after(PATIENCE):
            while await ask_at_once(1):
                pass
        counted = {name: await at_once(limits, name) for name in ("bob", "eve")}
        assert counted == {"bob": 3, "eve": 3}


async def test_no_more_than_a_number_wait(make: Make, valkey: Valkey) -> None:
    refused: list[str] = []

    async def ask() -> None:
        try:
            await taken(limits)
        except Overloaded as error:
            refused.append(error.message)

    async with make(waiting=5) as limits:
        async with anyio.create_task_group() as tasks:
            with valkey.suspended():
                for _ in range(20):
                    tasks.start_soon(ask)
                await until(lambda: bool(refused))
        assert set(refused) == {"too many requests wait for the store of limits"}
        assert await at_once(limits, "bob") == 3


async def test_whoever_is_cancelled_leaves_no_answer_to_others(make: Make, valkey: Valkey) -> None:
    async with make() as limits:
        assert await at_once(limits) == 3
        with valkey.suspended():
            for _ in range(3):
                with anyio.move_on_after(0.05):
                    await taken(limits)
        other = asked(Tier(Window(10, 1)))
        assert len((await limits.take("bob", other, 1))[1]) == 1
        assert [await taken(limits, name) for name in ("ann", "eve", "ann")] == [False, True, False]


async def test_left_while_it_is_asked(make: Make, valkey: Valkey) -> None:
    refused: list[str] = []

    async def ask() -> None:
        try:
            await taken(limits)
        except (Overloaded, UsageError) as error:
            refused.append(str(error))

    limits = make()
    await limits.__aenter__()
    with valkey.suspended():
        async with anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(ask)
            await until(lambda: len(limits._queue) > 50)
            await limits.__aexit__(None, None, None)
    assert len(refused) == 200
    assert "the store of limits is closing" in refused


async def test_an_answer_that_is_lost_is_not_asked_for_twice(valkey: Valkey, prefix: str) -> None:
    async with (
        failing_line(valkey.url) as line,
        RedisLimits(line.url, prefix=prefix, timeout=PATIENCE) as limits,
    ):
        assert await taken(limits)
        line.lose_answer(b"EVALSHA")
        with pytest.raises(Overloaded, match="cannot be reached"):
            await taken(limits)
        assert line.lost == 1
        assert await at_once(limits) == 1


async def test_a_server_that_takes_no_writes(make: Make, valkey: Valkey) -> None:
    async with make() as limits:
        assert await taken(limits)
        for bad, good in [
            (("REPLICAOF", "127.0.0.1", str(free_port())), ("REPLICAOF", "NO", "ONE")),
            (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
        ]:
            valkey.command(*bad)
            try:
                with pytest.raises(Overloaded, match="does not count"):
                    await taken(limits, "bob")
            finally:
                valkey.command(*good)
            assert await taken(limits, "bob")


async def test_a_key_that_is_somebody_elses(make: Make, valkey: Valkey, prefix: str) -> None:
    async with make() as limits:
        assert await taken(limits)
        (key,) = valkey.command("KEYS", f"{prefix}:*")
        valkey.command("DEL", key)
        valkey.command("LPUSH", key, "nonsense")
        with pytest.raises(Overloaded, match="does not count"):
            await taken(limits)
        assert await taken(limits, "bob")
