"""Limits counted on Valkey: conformance, faults, and what is its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count

import anyio
import pytest
from anyio import to_thread
from anyio.lowlevel import checkpoint

from lbproto import Overloaded, Tier, UsageError, Window
from lbproto.backends.redis_limits import RedisLimits
from lbproto.limits import SECOND
from lbproto.testing.limits import LimitsSuite, MakeLimits, PassTime, asked
from tests.backends.stopped import StoppedClock
from tests.ledger.servers import Valkey, failing_line, free_port

pytestmark = pytest.mark.anyio

PATIENCE = 60.0  # seconds: the machine may be busy
FEW = asked(Tier(Window(6, 15), Window(100, 3_600)))  # three at once, then one every five seconds

_numbers = count()

Make = Callable[..., RedisLimits]


@pytest.fixture
def prefix() -> str:
    return f"limits-{next(_numbers)}"


@pytest.fixture
def make(valkey: Valkey, prefix: str) -> Make:
    return partial(RedisLimits, valkey.url, prefix=prefix, timeout=PATIENCE)


@pytest.fixture
def stopped(valkey: Valkey, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoppedClock]:
    clock = StoppedClock(valkey.url, prefix, monkeypatch)
    yield clock
    clock.close()


class TestRedisLimits(LimitsSuite):
    resolution = 1_000
    sequences = 40

    @pytest.fixture
    def make_limits(self, make: Make, stopped: StoppedClock) -> MakeLimits:
        return make

    @pytest.fixture
    def pass_time(self, stopped: StoppedClock) -> PassTime:
        async def pass_time(nanoseconds: int) -> None:
            stopped.move(nanoseconds // 1_000)

        return pass_time


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():
            await checkpoint()


async def taken(
    limits: RedisLimits, name: str = "ann", windows: Sequence[tuple[int, int, int]] = FEW
) -> bool:
    return (await limits.take(name, windows, 1))[0]


async def at_once(limits: RedisLimits, name: str = "ann") -> int:
    """How many are let through."""
    for number in range(100):
        if not await taken(limits, name):
            return number
    return 100


# Its clock


async def test_a_clock_that_is_set_back_locks_nobody_out(make: Make, stopped: StoppedClock) -> None:
    async with make() as limits:
        assert await at_once(limits) == 3
        stopped.move(-7_000_000)
        assert await limits.take("ann", FEW, 1) == (False, [15 * SECOND, 216 * SECOND])
        stopped.move(4_999_999)
        assert not await taken(limits)
        stopped.move(1)
        assert await taken(limits)
        stopped.move(-70_000 * 1_000_000)  # not before now: the key would expire
        assert await at_once(limits) == 0
        stopped.move(15_000_000)
        assert await at_once(limits) == 3


async def test_a_clock_that_is_set_forward_lets_users_begin_anew(
    make: Make, stopped: StoppedClock
) -> None:
    async with make() as limits:
        assert await at_once(limits) == 3
        stopped.move(10 * 365 * 86_400 * 1_000_000)
        assert await limits.take("ann", FEW, 1) == (True, [interval for _, interval, _ in FEW])


@pytest.mark.parametrize("years", [1, 100])
async def test_windows_of_years_are_counted_too(
    years: int, make: Make, stopped: StoppedClock
) -> None:
    """Beyond what a double holds it is right to a millionth."""
    tier = Tier(Window(20, years * 365 * 86_400, 19))  # so it may take 19 times as long
    (_, interval, reach), *_ = windows = asked(tier)
    async with make() as limits:
        for number in range(1, 20):
            is_taken, (ahead,) = await limits.take("ann", windows, 1)
            assert is_taken
            assert ahead == pytest.approx(number * interval, rel=1e-12)
        is_taken, (ahead,) = await limits.take("ann", windows, 1)
        assert not is_taken
        assert ahead == pytest.approx(reach, rel=1e-12)


async def test_by_the_clock_of_the_server(make: Make) -> None:
    """The one test that does not stop it."""
    slow, quick = asked(Tier(Window(2, 3_600))), asked(Tier(Window(2, 0.02)))  # one each window
    async with make() as limits:
        assert await taken(limits, windows=slow)
        told = [await limits.take("ann", slow, 1) for _ in range(2)]
        assert [is_taken for is_taken, _ in told] == [False, False]
        (first,), (second,) = (ahead for _, ahead in told)
        assert 0 < second < first < 3_600 * SECOND
        for _ in range(3):
            with anyio.fail_after(PATIENCE):
                while not await taken(limits, "bob", quick):
                    pass


# What is kept


async def test_a_user_is_one_key_that_does_not_say_who_and_expires(
    make: Make, valkey: Valkey, prefix: str
) -> None:
    names = ["ann", "", "x" * 100_000, "{ann}", "\ud800", "a\0b"]
    async with make() as limits:
        for name in names:
            assert await taken(limits, name)
        keys = valkey.command("KEYS", f"{prefix}:*")
        assert len(keys) == len(names)
        assert {len(key) for key in keys} == {len(prefix) + 33}
        # By the longest window, in milliseconds, rounded up.
        for key in keys:
            written = valkey.command("GET", key).split(b"\n")[0].split()
            micros = int(written[0]) * 1_000_000 + int(written[1]) + 72_000_000
            assert valkey.command("PEXPIRETIME", key) == -(-micros // 1_000)


async def test_what_is_paid_for_is_not_kept(make: Make, valkey: Valkey, prefix: str) -> None:
    async with make() as limits:
        assert await taken(limits, windows=asked(Tier(Window(2, 0.002))))
        await until(lambda: not valkey.command("KEYS", f"{prefix}:*"))


async def test_windows_that_are_paid_for_are_not_kept_beside_others(
    make: Make, valkey: Valkey, prefix: str, stopped: StoppedClock
) -> None:
    async with make() as limits:
        for length in range(1, 20):
            assert await taken(limits, windows=asked(Tier(Window(1, length))))
            stopped.move(60_000_000)
        (key,) = valkey.command("KEYS", f"{prefix}:*")
        assert len(valkey.command("GET", key).split(b"\n")) == 2


async def test_applications_with_prefixes_of_their_own_do_not_mix(
    valkey: Valkey, prefix: str
) -> None:
    async with (
        RedisLimits(valkey.url, prefix=prefix) as one,
        RedisLimits(valkey.url, prefix=f"{prefix}-other") as other,
    ):
        assert [await at_once(limits) for limits in (one, other)] == [3, 3]


@pytest.mark.parametrize("text", ["nonsense", "1 1\n15000000000 1 0", "-1 x\n\n", "9" * 400 + " 1"])
async def test_what_was_tampered_with_is_not_believed(
    text: str, make: Make, valkey: Valkey, prefix: str
) -> None:
    async with make() as limits:
        assert await at_once(limits) == 3
        (key,) = valkey.command("KEYS", f"{prefix}:*")
        valkey.command("SET", key, text)
        assert await at_once(limits) == 3


# What it costs


async def test_requests_that_come_together_travel_together(make: Make, valkey: Valkey) -> None:
    async with make() as limits:
        valkey.command("CONFIG", "RESETSTAT")
        connected = valkey.command("INFO", "clients")["connected_clients"]
        async with anyio.create_task_group() as tasks:
            for number in range(500):
                tasks.start_soon(taken, limits, f"user-{number}")
        stats = valkey.command("INFO", "commandstats")
        assert stats["cmdstat_evalsha"]["calls"] == 500
        assert "cmdstat_eval" not in stats
        assert valkey.command("INFO", "clients")["connected_clients"] <= connected + 1


async def test_the_script_may_be_forgotten(make: Make, valkey: Valkey) -> None:
    async with make() as limits:
        assert await taken(limits)
        valkey.command("SCRIPT", "FLUSH")
        counted: list[bool] = []

        async def take() -> None:
            counted.append(await taken(limits))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(take)
        assert counted.count(True) == 2
        assert valkey.command("SCRIPT", "EXISTS", _sha()) == [True]


def _sha() -> str:
    from lbproto.backends import redis_limits

    return redis_limits._SHA


# Faults


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
        with pytest.raises(UsageError, match="Redis does not let lbproto in") as caught:
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
        assert set(refused) == {"too many wait for the store of limits"}
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
