"""The logs in Valkey: what a node finds there that was away, or comes later; and what is gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest
from anyio import to_thread

from lbproto.backends import arrivals
from lbproto.backends.redis_pubsub import RedisPubSub
from lbproto.testing.pubsub import Inbox
from tests.backends.redis_limiting import until
from tests.backends.telling import lost, sent
from tests.ledger.servers import Valkey, failing_line

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("brisk")]

MakePubSub = Callable[..., RedisPubSub]


@pytest.fixture
def make(valkey: Valkey, prefix: str) -> MakePubSub:
    return partial(RedisPubSub, valkey.url, prefix=prefix)


class Traffic:
    """Publishes numbers to "x", as fast as that goes."""

    def __init__(self, publisher: RedisPubSub) -> None:
        self.publisher = publisher
        self.count = 0
        self._publishing = True

    async def run(self) -> None:
        while self._publishing:
            self.publisher.publish_nowait("x", b"%d" % self.count, kept=True)
            self.count += 1
            await anyio.sleep(0.001)

    async def wait_more(self, count: int = 50) -> None:
        """Wait until so many more have been published."""
        end = self.count + count
        await until(lambda: self.count >= end)

    def stop(self) -> None:
        self._publishing = False


# A connection that is lost


async def test_dropped_subscriptions_lose_nothing(make: MakePubSub, valkey: Valkey) -> None:
    """Amid traffic, again and again; each message comes once, and in order."""
    one, two = make(), make()
    async with one, two, Inbox.of(two) as inbox, anyio.create_task_group() as tasks:
        await two.subscribe("x")
        traffic = Traffic(one)
        tasks.start_soon(traffic.run)
        for times in range(1, 4):
            await traffic.wait_more()
            await to_thread.run_sync(valkey.command, "CLIENT", "KILL", "TYPE", "pubsub")
            await until(partial(is_back, two, times))
        await traffic.wait_more()
        traffic.stop()
        taken = [int((await inbox.take())[1]) for _ in range(traffic.count)]
        assert taken == list(range(traffic.count))
        assert two.statistics().missed == 0


def is_back(pubsub: RedisPubSub, times: int) -> bool:
    """Whether it has lost its connection so many times, and has another."""
    return lost(pubsub) >= times and pubsub.ready


async def test_a_server_that_is_killed_amid_traffic_and_has_written_everything(
    durable: Valkey, prefix: str
) -> None:
    one, two, three = (RedisPubSub(durable.url, prefix=prefix) for _ in range(3))
    async with one, two, three, Inbox.of(two) as inbox, anyio.create_task_group() as tasks:
        await two.subscribe("x")
        before = three.position
        traffic = Traffic(one)
        tasks.start_soon(traffic.run)
        for _ in range(2):
            await traffic.wait_more()
            await to_thread.run_sync(durable.kill)
            await traffic.wait_more()
            await to_thread.run_sync(durable.start)
            await until(lambda: one.ready and two.ready and three.ready)
        await traffic.wait_more()
        traffic.stop()
        taken = [int((await inbox.take())[1]) for _ in range(traffic.count)]
        assert taken == list(range(traffic.count))
        assert two.statistics().missed == 0
        async with Inbox.of(three):
            assert await three.missed({"x": [one.position]}) == []
            await three.catch_up()
            missed = await three.missed({"x": [before]})
            assert missed is not None
            assert [int(payload) for _, payload in missed] == taken


async def test_a_server_that_comes_back_without_anything(
    prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing was on its way, so that nothing is missed: but what was in the log is gone."""
    forgetful = await to_thread.run_sync(lambda: Valkey(appendonly="no"))
    try:
        one, two = (RedisPubSub(forgetful.url, prefix=prefix) for _ in range(2))
        async with one, two, Inbox.of(one), Inbox.of(two) as inbox:
            await two.subscribe("x")
            before = two.position
            for number in range(5):
                one.publish_nowait("x", b"%d" % number, kept=True)
            assert [int((await inbox.take())[1]) for _ in range(5)] == list(range(5))
            for _ in range(2):
                await to_thread.run_sync(forgetful.kill)
                await until(lambda: not one.ready and not two.ready)
                await to_thread.run_sync(forgetful.start)
                await until(lambda: one.ready and two.ready)
                assert await two.missed({"x": [before]}) is None
                await one.catch_up()
                assert await two.missed({"x": [one.position]}) == []
                before = two.position
                one.publish_nowait("x", b"5", kept=True)
                assert await inbox.take() == ("x", b"5")
                assert await two.missed({"x": [before]}) == [("x", b"5")]
            assert inbox.take_nowait() == []
            assert two.statistics().missed == 0
    finally:
        await to_thread.run_sync(forgetful.stop)
    assert "has lost the log" in caplog.text


def shut_out(valkey: Valkey, name: str) -> None:
    valkey.command("ACL", "SETUSER", name, "off")
    valkey.command("CLIENT", "KILL", "USER", name)


@asynccontextmanager
async def away(valkey: Valkey, name: str, pubsub: RedisPubSub) -> AsyncIterator[None]:
    """A node whose user is not let in meanwhile."""
    await to_thread.run_sync(shut_out, valkey, name)
    await until(lambda: not pubsub.ready)
    yield
    await to_thread.run_sync(valkey.command, "ACL", "SETUSER", name, "on")
    await until(lambda: pubsub.ready)


def guest_of(valkey: Valkey, name: str) -> str:
    """The URL of a user whom the server knows until it is killed."""
    valkey.command("ACL", "SETUSER", name, "on", ">right", "allkeys", "allchannels", "+@all")
    return valkey.url.replace("//", f"//{name}:right@")


@pytest.fixture
def guest(valkey: Valkey, prefix: str) -> str:
    """One whose name is the prefix."""
    return guest_of(valkey, prefix)


@pytest.mark.parametrize("keeps", [True, False], ids=["all", "nothing"])
async def test_what_was_answered_and_not_passed_on_when_the_server_was_killed(
    keeps: bool, prefix: str
) -> None:
    """It answers first, and its publisher will not send it again."""
    server = await to_thread.run_sync(lambda: Valkey(**({} if keeps else {"appendonly": "no"})))
    try:
        one, two = (
            RedisPubSub(server.url, prefix=prefix),
            RedisPubSub(guest_of(server, prefix), prefix=prefix),
        )
        async with one, two, Inbox.of(two) as inbox:
            await two.subscribe("x")
            one.publish_nowait("x", b"1", kept=True)
            assert await inbox.take() == ("x", b"1")
            async with away(server, prefix, two):
                one.publish_nowait("x", b"2", kept=True)
                await sent(one)
                await to_thread.run_sync(server.kill)
                await until(lambda: not one.ready)
                one.publish_nowait("x", b"3", kept=True)
                await to_thread.run_sync(server.start)
                await to_thread.run_sync(guest_of, server, prefix)
                await sent(one)
            one.publish_nowait("x", b"4", kept=True)
            told = [await inbox.take_any() for _ in range(3)]
            assert told == [("x", b"2" if keeps else None), ("x", b"3"), ("x", b"4")]
            assert two.statistics().missed == (0 if keeps else 1)
    finally:
        await to_thread.run_sync(server.stop)


@pytest.mark.parametrize("times", [1, 2])
async def test_what_a_lost_log_had_is_announced_where_it_is_missed(
    times: int, make: MakePubSub, valkey: Valkey, prefix: str, guest: str
) -> None:
    one, two = make(), RedisPubSub(guest, prefix=prefix)
    async with one, two, Inbox.of(one), Inbox.of(two) as inbox:
        for channel in ("x", "y", "z"):
            await two.subscribe(channel)
        one.publish_nowait("y", b"1", kept=True)
        assert await inbox.take() == ("y", b"1")
        async with away(valkey, prefix, two):
            one.publish_nowait("x", b"2", kept=True)  # the first that it would hear there
            await sent(one)
            for _ in range(times):
                keys = valkey.command("KEYS", f"{prefix}:*")
                await to_thread.run_sync(valkey.command, "DEL", *keys)
                await one.catch_up()
            one.publish_nowait("z", b"3", kept=True)
            await sent(one)
        assert sorted([await inbox.take_any(), await inbox.take_any()], key=str) == [
            ("x", None),
            ("z", b"3"),
        ]
        for channel in ("y", "x"):
            one.publish_nowait(channel, b"4")
        assert {await inbox.take_any(), await inbox.take_any()} == {("x", b"4"), ("y", b"4")}
        assert inbox.take_nowait() == []


async def test_what_begins_another_log_does_not_hide_what_the_lost_one_had(
    make: MakePubSub, valkey: Valkey, prefix: str, guest: str
) -> None:
    one, two = make(), RedisPubSub(guest, prefix=prefix)
    async with one, two, Inbox.of(two) as inbox:
        await two.subscribe("x")
        async with away(valkey, prefix, two):
            one.publish_nowait("x", b"1", kept=True)  # the first that it would hear there
            await sent(one)
            keys = valkey.command("KEYS", f"{prefix}:*")
            await to_thread.run_sync(valkey.command, "DEL", *keys)
            one.publish_nowait("x", b"2", kept=True)
            await sent(one)
        assert {await inbox.take_any(), await inbox.take_any()} == {("x", b"2"), ("x", None)}


@pytest.mark.parametrize("bounds", [{"max_kept": 10}, {"max_kept_bytes": 300}], ids=str)
async def test_what_the_log_no_longer_has_is_announced(
    bounds: dict[str, int], make: MakePubSub, valkey: Valkey, prefix: str, guest: str
) -> None:
    one, two = make(**bounds), RedisPubSub(guest, prefix=prefix)
    async with one, two, Inbox.of(two) as inbox:
        for channel in ("x", "y"):
            await two.subscribe(channel)
        before = two.position
        async with away(valkey, prefix, two):
            for number in range(10, 60):
                one.publish_nowait("x", b"%d" % number, kept=True)
                await sent(one)
        lost = [await inbox.take_any(), await inbox.take_any()]
        assert sorted(lost) == [("x", None), ("y", None)]
        rest = [int((await inbox.take())[1])]
        while rest[-1] < 59:
            rest.append(int((await inbox.take())[1]))
        assert rest == list(range(60 - len(rest), 60))
        assert len(rest) <= 10
        assert await two.missed({"x": [before]}) is None


async def test_what_is_too_old_is_gone(make: MakePubSub) -> None:
    one = make(window=0.01)
    async with one, Inbox.of(one):
        before = one.position
        for _ in range(2):
            one.publish_nowait("x", b"1", kept=True)
            await anyio.sleep(0.02)
            await one.catch_up()
        assert await one.missed({"x": [before]}) is None


async def test_what_a_node_is_too_far_behind_to_take_is_announced(
    make: MakePubSub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "_MAX_BEHIND", 10)
    one, two = make(), make()
    async with one, two:
        await two.subscribe("x")
        for number in range(50):
            one.publish_nowait("x", b"%d" % number, kept=True)
        await until(lambda: two.statistics().received + two.statistics().dropped == 50)
        dropped = two.statistics().dropped
        assert dropped >= 40
        async with Inbox.of(two) as inbox:
            for number in range(50 - dropped):
                assert await inbox.take() == ("x", b"%d" % number)
            one.publish_nowait("x", b"50", kept=True)
            assert await inbox.take_any() == ("x", None)
            assert await inbox.take() == ("x", b"50")


async def test_a_server_that_has_gone_back_in_time_begins_another_log(prefix: str) -> None:
    """As a replica does that takes over with less: no number is given twice."""
    server = await to_thread.run_sync(lambda: Valkey(appendonly="no"))
    try:
        one, two = (RedisPubSub(server.url, prefix=prefix) for _ in range(2))
        async with one, two, Inbox.of(one), Inbox.of(two) as inbox:
            await two.subscribe("x")
            one.publish_nowait("x", b"1", kept=True)
            await inbox.take()
            await to_thread.run_sync(server.command, "SAVE")
            saved = two.position
            one.publish_nowait("x", b"2", kept=True)
            await inbox.take()
            await to_thread.run_sync(server.kill)
            await until(lambda: not one.ready and not two.ready)
            await to_thread.run_sync(server.start)
            await until(lambda: one.ready and two.ready)
            assert await two.missed({"x": [saved]}) is None
            await two.catch_up()
            again = two.position
            one.publish_nowait("x", b"3", kept=True)
            assert await inbox.take() == ("x", b"3")
            assert await two.missed({"x": [again]}) == [("x", b"3")]
            assert inbox.take_nowait() == []
    finally:
        await to_thread.run_sync(server.stop)


async def test_what_was_not_answered_is_logged_once(
    make: MakePubSub, valkey: Valkey, prefix: str
) -> None:
    async with failing_line(valkey.url) as line:
        one, two = RedisPubSub(line.url, prefix=prefix), make()
        async with one, two, Inbox.of(two) as inbox:
            await two.subscribe("x")
            before = two.position
            line.lose_answer(b"needle")
            one.publish_nowait("x", b"needle", kept=True)
            await until(lambda: one.ready and lost(one) == 1)
            one.publish_nowait("x", b"1", kept=True)
            messages = [("x", b"needle"), ("x", b"1")]
            assert [await inbox.take(), await inbox.take()] == messages
            assert await two.missed({"x": [before]}) == messages
            assert line.lost == 1
