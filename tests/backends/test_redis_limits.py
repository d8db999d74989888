"""Limits counted on Valkey: conformance, and what is its own."""

from __future__ import annotations

import anyio
import pytest

from lbproto import Tier, Window
from lbproto.backends.redis_limits import RedisLimits
from lbproto.limits.windows import SECOND
from lbproto.testing.limits import LimitsSuite, MakeLimits, PassTime, asked
from tests.backends.redis_limiting import FEW, PATIENCE, Make, at_once, taken, until
from tests.backends.stopped import StoppedClock
from tests.ledger.servers import Valkey

pytestmark = pytest.mark.anyio


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
