"""What every storage has to do, whoever wrote it: subclass the suite, give it your storage.

Like this::

    class TestMyStorage(StorageSuite):
        @pytest.fixture
        def make_storage(self, clock: VirtualClock) -> MakeStorage:
            return lambda: MyStorage(clock)

Needs pytest, with the fixtures of `lbproto.testing.fixtures`: every test runs under every event
loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import anyio
import pytest
from anyio.lowlevel import checkpoint

from lbproto.backends.base import MAX_CHILDREN, Storage
from lbproto.testing.clock import VirtualClock

__all__ = ["MakeStorage", "PassTime", "StorageSuite"]

MakeStorage = Callable[[], Storage]
"""Makes a storage that is not entered yet; those that a test makes keep the same records."""

PassTime = Callable[[float], Awaitable[None]]
"""Lets so many seconds pass for the storages of a test."""

_SHORT, _LONG = 100.0, 10_000.0
"""Times to live, in seconds: none is over before a test says so, however busy the machine is."""


class StorageSuite:
    """Conformance of a `Storage`: override `make_storage`.

    Its clock has to be the test's. Where it cannot be a `VirtualClock`, override `pass_time` too.
    """

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def make_storage(self) -> MakeStorage:
        """The storage under test; empty."""
        raise NotImplementedError

    @pytest.fixture
    def pass_time(self, clock: VirtualClock) -> PassTime:
        """Lets time pass for the storage; here, for the fixture `clock`."""

        async def pass_time(seconds: float) -> None:
            clock.jump(seconds)

        return pass_time

    @pytest.fixture
    async def storage(self, make_storage: MakeStorage) -> AsyncIterator[Storage]:
        """A storage that is open."""
        async with make_storage() as storage:
            yield storage

    # One record

    async def test_a_key_nobody_put_is_none(self, storage: Storage) -> None:
        assert await storage.get("nothing") is None
        assert await storage.get("not/here") is None

    async def test_what_was_put_is_got(self, storage: Storage) -> None:
        await storage.put("a", b"1")
        await storage.put("b", b"2")
        assert (await storage.get("a"), await storage.get("b")) == (b"1", b"2")

    async def test_any_bytes(self, storage: Storage) -> None:
        for value in (b"", b"\x00", bytes(range(256)), "é".encode(), b"x" * 1024 * 1024):
            await storage.put("key", value)
            assert await storage.get("key") == value

    async def test_any_key(self, storage: Storage) -> None:
        long = "x" * 512
        keys = ["a b", "a:b.*", "ключ", "\n", "'; --", "a\0b", "{}", "}{", "/", "//", "a/", "/a"]
        keys += [long, long[1:], "a//b", "{a}/b", "a}/b", "}/b", "a/b}", "a}/b/c", "a", "a/b", "%"]
        for number, key in enumerate(keys):
            await storage.put(key, b"%d" % number)
        for number, key in enumerate(keys):
            assert await storage.get(key) == b"%d" % number
            assert await storage.delete(key)
            assert await storage.get(key) is None

    async def test_putting_again_replaces(self, storage: Storage) -> None:
        await storage.put("a", b"1")
        await storage.put("a", b"2")
        assert await storage.get("a") == b"2"

    async def test_deleting_says_whether_there_was_one(
        self, storage: Storage, pass_time: PassTime
    ) -> None:
        for key in ("a", "in/a"):
            await storage.put(key, b"1")
            await storage.put(f"{key}-short", b"1", ttl=_SHORT)
            assert await storage.delete(key)
            assert not await storage.delete(key)
            assert not await storage.delete("never")
            assert await storage.get(key) is None
        await pass_time(_SHORT)
        assert not await storage.delete("a-short")
        assert not await storage.delete("in/a-short")

    async def test_only_what_is_not_there_is_new(
        self, storage: Storage, pass_time: PassTime
    ) -> None:
        for key in ("a", "in/a"):
            assert await storage.put_new(key, b"1", ttl=_SHORT)
            assert not await storage.put_new(key, b"2")
            assert await storage.get(key) == b"1"
        await pass_time(_SHORT)
        for key in ("a", "in/a"):
            assert await storage.put_new(key, b"3")
            assert await storage.get(key) == b"3"
        await pass_time(_LONG)
        for key in ("a", "in/a"):
            assert not await storage.put_new(key, b"4")
            assert await storage.delete(key)
            assert await storage.put_new(key, b"5")

    # Time to live

    async def test_a_record_is_gone_once_its_time_has_passed(
        self, storage: Storage, pass_time: PassTime
    ) -> None:
        await storage.put("short", b"1", ttl=_SHORT)
        await storage.put("long", b"2", ttl=_LONG)
        await storage.put("ever", b"3")
        assert await storage.get("short") == b"1"
        await pass_time(_SHORT)
        assert await storage.get("short") is None
        assert (await storage.get("long"), await storage.get("ever")) == (b"2", b"3")

    async def test_putting_again_replaces_the_time_to_live(
        self, storage: Storage, pass_time: PassTime
    ) -> None:
        for parent in ("", "in/"):
            await storage.put(f"{parent}longer", b"1", ttl=_SHORT)
            await storage.put(f"{parent}longer", b"2", ttl=_LONG)
            await storage.put(f"{parent}ever", b"1", ttl=_SHORT)
            await storage.put(f"{parent}ever", b"2")
            await storage.put(f"{parent}shorter", b"1")
            await storage.put(f"{parent}shorter", b"2", ttl=_SHORT)
        await pass_time(1.5 * _SHORT)
        for parent in ("", "in/"):
            assert await storage.get(f"{parent}longer") == b"2"
            assert await storage.get(f"{parent}ever") == b"2"
            assert await storage.get(f"{parent}shorter") is None
        assert await storage.children("in") == {"longer": b"2", "ever": b"2"}

    async def test_a_key_may_be_used_again_after_its_time(
        self, storage: Storage, pass_time: PassTime
    ) -> None:
        await storage.put("a", b"1", ttl=_SHORT)
        await pass_time(2 * _SHORT)
        await storage.put("a", b"2")
        await pass_time(2 * _SHORT)
        assert await storage.get("a") == b"2"

    # Counting

    async def test_counting(self, storage: Storage) -> None:
        assert await storage.increment("n") == 1
        assert await storage.increment("n", 41) == 42
        assert await storage.increment("n", -43) == -1
        assert await storage.increment("n", 1) == 0
        assert await storage.get("n") == b"0"

    async def test_counting_on_from_what_was_put(self, storage: Storage) -> None:
        await storage.put("n", b"-7")
        assert await storage.increment("n", 10) == 3
        assert await storage.get("n") == b"3"

    @pytest.mark.parametrize("value", [b"", b"x", b"1.5", b"0x10", b"\xff"])
    async def test_only_integers_are_counted(self, storage: Storage, value: bytes) -> None:
        await storage.put("n", value)
        with pytest.raises(ValueError):  # noqa: PT011 - each backend says it in its own words
            await storage.increment("n")
        assert await storage.get("n") == value

    async def test_counting_leaves_the_time_to_live(
        self, storage: Storage, pass_time: PassTime
    ) -> None:
        for key in ("n", "in/n"):
            await storage.put(key, b"5", ttl=_SHORT)
            assert await storage.increment(key) == 6
        assert await storage.children("in") == {"n": b"6"}
        await pass_time(_SHORT)
        assert await storage.children("in") == {}
        for key in ("n", "in/n"):
            assert await storage.increment(key) == 1
        await pass_time(_LONG)
        assert await storage.get("n") == b"1"
        assert await storage.children("in") == {"n": b"1"}

    # What is beneath a parent

    async def test_the_children_of_a_parent_are_listed(
        self, storage: Storage, pass_time: PassTime
    ) -> None:
        assert await storage.children("jobs") == {}
        await storage.put("jobs/a", b"1")
        await storage.put_new("jobs/b", b"2", ttl=_SHORT)
        await storage.increment("jobs/c", 3)
        await storage.put("jobs/d", b"4", ttl=_LONG)
        for other in ("jobs", "jobs/a/deeper", "jobsx/a", "job/a", "/jobs/a", "jobs//a"):
            await storage.put(other, b"other")
        assert await storage.children("jobs") == {"a": b"1", "b": b"2", "c": b"3", "d": b"4"}
        assert await storage.children("jobs/a") == {"deeper": b"other"}
        assert await storage.children("jobs/b") == {}
        assert await storage.delete("jobs/a")
        await pass_time(_SHORT)
        assert await storage.children("jobs") == {"c": b"3", "d": b"4"}
        await storage.put("jobs/b", b"5")
        assert await storage.children("jobs") == {"b": b"5", "c": b"3", "d": b"4"}

    async def test_any_parent(self, storage: Storage) -> None:
        parents = ["", "/", "a/", "{", "}", "{}", "a}/b", "a}", "a b", "ключ", "a%", "*", "\0"]
        for number, parent in enumerate(parents):
            await storage.put(f"{parent}/{number}", b"x")
        for number, parent in enumerate(parents):
            assert await storage.children(parent) == {f"{number}": b"x"}

    async def test_no_more_children_are_listed_than_promised(self, storage: Storage) -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(MAX_CHILDREN + 10):
                tasks.start_soon(storage.put, f"many/{number}", b"x")
        assert len(await storage.children("many")) == MAX_CHILDREN

    # Together

    async def test_no_count_is_lost(self, storage: Storage) -> None:
        async def count() -> None:
            for _ in range(10):
                await storage.increment("n")

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(count)
        assert await storage.get("n") == b"100"

    async def test_one_of_many_claims(self, storage: Storage) -> None:
        claimed: list[bool] = []

        async def put() -> None:
            claimed.append(await storage.put_new("in/claim", b"1"))

        async def take() -> None:
            claimed.append(await storage.delete("in/claim"))

        for claim in (put, take):
            claimed.clear()
            async with anyio.create_task_group() as tasks:
                for _ in range(16):
                    tasks.start_soon(claim)
            assert claimed.count(True) == 1

    async def test_whoever_is_cancelled_disturbs_nobody(self, storage: Storage) -> None:
        for turns in range(6):
            async with anyio.create_task_group() as tasks:
                for number in range(8):
                    tasks.start_soon(storage.put, f"{turns}/{number}", b"x")
                for _ in range(turns):
                    await checkpoint()
                tasks.cancel_scope.cancel()
            await storage.put(f"{turns}/calm", b"y")
            assert (await storage.children(f"{turns}"))["calm"] == b"y"

    async def test_what_one_has_written_another_finds_if_it_is_durable(
        self, make_storage: MakeStorage, pass_time: PassTime
    ) -> None:
        async with make_storage() as storage:
            if not storage.durable:
                pytest.skip("not offered: durability")
            await storage.put("in/ever", b"1")
            await storage.put("in/short", b"2", ttl=_SHORT)
            await storage.put("in/long", b"3", ttl=_LONG)
        await pass_time(_SHORT)
        async with AsyncExitStack() as stack:
            for _ in range(2):  # at the same time
                storage = await stack.enter_async_context(make_storage())
                assert await storage.children("in") == {"ever": b"1", "long": b"3"}
