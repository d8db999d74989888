"""What every store of limits has to do, whoever wrote it: subclass the suite, give it your store.

Like this::

    class TestMyLimits(LimitsSuite):
        @pytest.fixture
        def make_limits(self, clock: VirtualClock) -> MakeLimits:
            return lambda: MyLimits(clock)

Needs pytest, with the fixtures of `lbproto.testing.fixtures`: every test runs under every event
loop. With hypothesis installed, any sequence of requests is tried as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from itertools import count
from typing import Any, ClassVar

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from anyio.lowlevel import checkpoint

from lbproto.backends.base import LimitStore
from lbproto.backends.memory_limits import MemoryLimits
from lbproto.limits.windows import PUBLISHED_TIERS, SECOND, Bucket, Tier, Window
from lbproto.testing.clock import VirtualClock

__all__ = ["LimitsSuite", "MakeLimits", "PassTime", "asked"]

MakeLimits = Callable[[], LimitStore]
"""Makes a store that is not entered yet; those that a test makes count together, and anew."""

PassTime = Callable[[int], Awaitable[None]]
"""Lets so many nanoseconds pass for the stores of a test."""

FEW = Tier(Window(6, 15), Window(100, 3_600))  # three at once, then one every five seconds

_TASKS = 64


def asked(tier: Tier) -> list[tuple[int, int, int]]:
    """The windows of a tier, as a store is told them."""
    return [(round(each.seconds * SECOND), each.interval, each.reach) for each in tier.windows]


class LimitsSuite:
    """Conformance of a `LimitStore`: override `make_limits`.

    The store's clock has to be the test's. Where it cannot be a `VirtualClock`, override
    `pass_time` too; time stands still but for that.

    Attributes:
        resolution: what the store's clock can tell apart, in nanoseconds; at most a millisecond.
        sequences: how many sequences of requests are tried under each event loop.
    """

    pytestmark = pytest.mark.anyio

    resolution: ClassVar[int] = 1
    sequences: ClassVar[int] = 50

    @pytest.fixture
    def make_limits(self) -> MakeLimits:
        """The store under test."""
        raise NotImplementedError

    @pytest.fixture
    def pass_time(self, clock: VirtualClock) -> PassTime:
        """Lets time pass for the store; here, for the fixture `clock`."""

        async def pass_time(nanoseconds: int) -> None:
            clock.jump(nanoseconds / SECOND)

        return pass_time

    @pytest.fixture
    async def limits(self, make_limits: MakeLimits) -> AsyncIterator[LimitStore]:
        """A store that is open."""
        async with make_limits() as limits:
            yield limits

    # One after the other

    async def test_what_is_let_through_is_told(
        self, limits: LimitStore, pass_time: PassTime
    ) -> None:
        windows = asked(FEW)
        first, second = (interval for _, interval, _ in windows)
        assert await _take(limits, windows) == (True, [first, second])
        assert await _take(limits, windows, 2) == (True, [3 * first, 3 * second])
        await pass_time(SECOND)
        assert await _take(limits, windows) == (False, [3 * first - SECOND, 3 * second - SECOND])
        await pass_time(1_000 * SECOND)
        assert await _take(limits, windows) == (True, [first, second])

    async def test_a_burst_at_once_and_the_rest_one_each_interval(
        self, limits: LimitStore, pass_time: PassTime
    ) -> None:
        windows = asked(FEW)
        assert [await _is_taken(limits, windows) for _ in range(4)] == [True] * 3 + [False]
        for _ in range(4):
            await pass_time(5 * SECOND - self.resolution)
            assert not await _is_taken(limits, windows)
            await pass_time(self.resolution)
            assert await _is_taken(limits, windows)
            assert not await _is_taken(limits, windows)

    async def test_what_one_window_refuses_no_window_counts(
        self, limits: LimitStore, pass_time: PassTime
    ) -> None:
        windows = asked(FEW)
        assert await _is_taken(limits, windows, 3)
        before = await _take(limits, windows)
        for _ in range(5):
            assert await _take(limits, windows) == before
        for _ in range(47):  # what is left of the hour's fifty at once
            await pass_time(5 * SECOND)
            assert await _is_taken(limits, windows)

    async def test_users_do_not_mix(self, limits: LimitStore) -> None:
        windows = asked(FEW)
        names = ("", "ann", "ANN", "ann ", "{ann}", "{}", "ann:ann", "*", "a\nb", "a\0b", "ö", "�")
        for name in (*names, "x" * 10_000, "x" * 10_001):
            assert (await limits.take(name, windows, 3))[0]
            assert not (await limits.take(name, windows, 1))[0]

    async def test_what_was_used_by_another_interval_is_used_in_proportion(
        self, limits: LimitStore, pass_time: PassTime
    ) -> None:
        free, pro = (PUBLISHED_TIERS[name].windows[:1] for name in ("free", "pro"))
        free_asked, pro_asked = asked(Tier(*free)), asked(Tier(*pro))
        assert await _take(limits, free_asked, 30) == (True, [60 * SECOND])
        assert await _take(limits, pro_asked, 120) == (True, [60 * SECOND])  # 150 at once
        assert await _take(limits, free_asked, 1) == (False, [300 * SECOND])
        await pass_time(241 * SECOND)  # by what it has now, though it was refused
        assert not await _is_taken(limits, free_asked)
        await pass_time(SECOND)
        assert await _is_taken(limits, free_asked)

    async def test_proportions_are_exact(self, limits: LimitStore) -> None:
        """Also where a floating-point number does not hold the product of two intervals."""
        day = 86_400 * SECOND
        for used in range(1, 40):
            before, after = day // used - 7, day // 24 + used
            name = f"user-{used}"
            assert (await limits.take(name, [(day, before, 50 * before)], used))[0]
            taken, ahead = await limits.take(name, [(day, after, 50 * after)], 1)
            assert (taken, list(ahead)) == (True, [(used + 1) * after])

    async def test_what_was_used_of_a_window_is_known_when_it_comes_back(
        self, limits: LimitStore, pass_time: PassTime
    ) -> None:
        assert await _is_taken(limits, asked(FEW), 3)
        other = asked(Tier(Window(10, 1)))
        assert await _is_taken(limits, other)
        await pass_time(SECOND)
        assert await _is_taken(limits, other)
        assert await _take(limits, asked(FEW)) == (False, [14 * SECOND, 215 * SECOND])

    @pytest.mark.parametrize("name", ["free", "pro"])
    async def test_whoever_waits_as_told_succeeds_and_a_second_earlier_fails(
        self, name: str, limits: LimitStore, pass_time: PassTime
    ) -> None:
        """By each published window, in whole seconds, as clients are told them."""
        tier, seen = PUBLISHED_TIERS[name], set[float]()
        windows, weight = asked(tier), tier.windows[0].burst
        bucket, now = Bucket(tier), 0
        while len(seen) < len(windows):
            taken, ahead = await _take(limits, windows, weight)
            if taken:
                continue
            bucket.adopt(ahead, now)
            refusal = bucket.refusal(now, weight)
            assert refusal is not None
            assert refusal.wait is not None
            seconds = -(-refusal.wait // SECOND)
            seen.add(refusal.window.seconds)
            await pass_time((seconds - 1) * SECOND)
            assert not await _is_taken(limits, windows, weight)
            await pass_time(SECOND)
            now += seconds * SECOND
            assert await _is_taken(limits, windows, weight)

    def test_any_sequence_comes_to_the_same(
        self,
        anyio_backend: tuple[str, dict[str, Any]],
        make_limits: MakeLimits,
        pass_time: PassTime,
    ) -> None:
        """As what is counted in memory, to the nanosecond, tiers that change included."""
        pytest.importorskip("hypothesis")
        from hypothesis import HealthCheck, given, settings
        from hypothesis import strategies as st

        numbers = count()
        lengths = st.integers(1, 500 * self.resolution) | st.integers(1, 86_400 * SECOND)

        @st.composite
        def tiers(draw: st.DrawFn) -> list[Tier]:
            """Three, of windows that have some lengths in common."""
            shared = draw(st.lists(lengths, min_size=1, max_size=3, unique=True))
            made = []
            for _ in range(3):
                chosen = draw(st.lists(st.sampled_from(shared), min_size=1, unique=True))
                windows = []
                for length in chosen:
                    number = draw(st.integers(1, 40))
                    burst = draw(st.integers(0, max(number - 1, 1)))
                    windows.append(Window(number, length / SECOND, burst))
                made.append(Tier(*windows))
            return made

        step = st.tuples(
            st.integers(0, 1),  # whose
            st.sampled_from([0, 0, 0, 0, 1, 2]),  # of which tier
            st.integers(0, 5),  # how heavy
            st.just(0) | st.integers(0, 1_200),  # how much later, in thousandths of a window
        )

        async def compare(several: Sequence[Tier], steps: Sequence[tuple[int, ...]]) -> None:
            number, model, now = next(numbers), MemoryLimits(), 0
            for whose, which, heavy, later in steps:
                tier = several[which]
                length = max(window.seconds for window in tier.windows)
                pause = round(length * SECOND) * later // 1_000
                pause -= pause % self.resolution
                now += pause
                await pass_time(pause)
                weight = 1 + heavy % min(window.burst for window in tier.windows)
                request = (f"{number}-{whose}", asked(tier), weight)
                taken, ahead = await limits.take(*request)
                assert (taken, list(ahead)) == model.take_nowait(*request, now)

        with (
            start_blocking_portal(*anyio_backend) as portal,
            portal.wrap_async_context_manager(make_limits()) as limits,
        ):

            @settings(
                max_examples=self.sequences,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(tiers(), st.lists(step, max_size=40))
            def sequence(several: list[Tier], steps: list[tuple[int, ...]]) -> None:
                portal.call(compare, several, steps)

            sequence()

    # Together

    async def test_nodes_count_together(self, make_limits: MakeLimits, pass_time: PassTime) -> None:
        windows = asked(FEW)
        async with make_limits() as one, make_limits() as two:
            stores = (one, two, one, two)
            assert [await _is_taken(store, windows) for store in stores] == [True] * 3 + [False]
            await pass_time(5 * SECOND)
            assert await _is_taken(two, windows)
            assert not await _is_taken(one, windows)

    async def test_many_at_once_get_a_burst_and_no_more(
        self, make_limits: MakeLimits, pass_time: PassTime
    ) -> None:
        tier = Tier(Window(300, 60), Window(1_000, 3_600))
        windows, taken = asked(tier), list[int]()

        async def take(store: LimitStore, weight: int) -> None:
            while await _is_taken(store, windows, weight):
                taken.append(weight)

        async with make_limits() as one, make_limits() as two:
            for expected in (150, 100):  # the burst; then what forty seconds have paid for
                taken.clear()
                async with anyio.create_task_group() as tasks:
                    for number in range(_TASKS):
                        tasks.start_soon(take, (one, two)[number % 2], 1 + number % 3)
                assert sum(taken) == expected
                await pass_time(40 * SECOND)

    async def test_whoever_is_cancelled_disturbs_nobody(self, limits: LimitStore) -> None:
        windows = asked(FEW)

        async def take(name: str) -> None:
            await limits.take(name, windows, 3)

        for turns in range(6):
            async with anyio.create_task_group() as tasks:
                for number in range(8):
                    tasks.start_soon(take, f"{turns}-{number}")
                for _ in range(turns):
                    await checkpoint()
                tasks.cancel_scope.cancel()
            name = f"calm-{turns}"
            first, second = await limits.take(name, windows, 2), await limits.take(name, windows, 2)
            assert (first[0], second[0]) == (True, False)


async def _take(
    limits: LimitStore, windows: Sequence[tuple[int, int, int]], weight: int = 1
) -> tuple[bool, list[int]]:
    taken, ahead = await limits.take("ann", windows, weight)
    return taken, list(ahead)


async def _is_taken(
    limits: LimitStore, windows: Sequence[tuple[int, int, int]], weight: int = 1
) -> bool:
    taken, _ = await limits.take("ann", windows, weight)
    return taken
