"""What a log is asked for: by many at once, by those who give up, and by rubbish."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import anyio
import pytest
from anyio.lowlevel import checkpoint
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from lbproto import Overloaded, UsageError
from lbproto.backends import redis_reader
from lbproto.backends.parcels import Message, Packer, Place
from lbproto.backends.positions import Position, position, positions
from lbproto.backends.redis_log import MAX_SHARDS, Logged, tags
from lbproto.backends.redis_missed import Found
from lbproto.backends.redis_pubsub import RedisPubSub
from lbproto.testing.pubsub import Inbox
from tests.backends.redis_limiting import PATIENCE, until
from tests.backends.telling import lost, sent
from tests.ledger.servers import Valkey

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("brisk")]

MakePubSub = Callable[..., RedisPubSub]


@pytest.fixture
def make(valkey: Valkey, prefix: str) -> MakePubSub:
    return partial(RedisPubSub, valkey.url, prefix=prefix)


async def test_many_who_come_at_once_read_the_log_once(
    make: MakePubSub, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = make(), make(heartbeat=0.05)
    async with one, two, Inbox.of(one), Inbox.of(two):
        positions_ = []
        for number in range(600):
            positions_.append(one.position)
            one.publish_nowait(f"{number % 7}", b"%d" % number, kept=True)
            if number % 50 == 0:
                await sent(one)
                await one.catch_up()
        assert await two.missed({"x": [one.position]}) == []
        await two.catch_up()
        valkey.command("CONFIG", "RESETSTAT")

        async def ask(number: int) -> None:
            channel = f"{number % 7}"
            missed = await two.missed({channel: [positions_[number]]})
            assert missed == [(channel, b"%d" % each) for each in range(number, 600, 7)]

        async with anyio.create_task_group() as tasks:
            for number in range(0, 600, 23):
                tasks.start_soon(ask, 599 - number if number < 60 else number)
        reads = valkey.command("INFO", "commandstats")["cmdstat_xrange"]["calls"]
        assert reads < 10
        monkeypatch.setattr(redis_reader, "_UNUSED_SECONDS", -1.0)
        await until(lambda: not two._readers[0]._by_channel)
        await ask(300)


async def test_whoever_gives_up_asking_disturbs_nobody(make: MakePubSub) -> None:
    one, two = make(), make()
    async with one, two, Inbox.of(two) as inbox:
        await two.subscribe("x")
        before = two.position
        for turns in range(30):
            one.publish_nowait("x", b"%d" % turns, kept=True)
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(two.missed, {"x": [before]})
                    tasks.start_soon(two.catch_up)
                for _ in range(turns):
                    await checkpoint()
                tasks.cancel_scope.cancel()
        assert [int((await inbox.take())[1]) for _ in range(30)] == list(range(30))
        missed = await two.missed({"x": [before]})
        assert missed is not None
        assert len(missed) == 30
        assert lost(two) == 0


async def test_a_log_that_is_out_of_reach(make: MakePubSub, valkey: Valkey) -> None:
    one, two = make(timeout=0.2), make()
    async with one, two, Inbox.of(one):
        await until(lambda: one.ready)
        position = one.position
        with valkey.suspended():
            for _ in range(2):
                with pytest.raises(Overloaded, match="try again"):
                    await one.missed({"x": [position]})
                with pytest.raises(Overloaded, match="try again"):
                    await one.catch_up()
            one.publish_nowait("x", b"1", kept=True)
            with pytest.raises(Overloaded, match="try again"):
                await one.missed({"x": [position]})
        assert await answered(one, position) == [("x", b"1")]


async def answered(node: RedisPubSub, position: str) -> object:
    """What was missed since; a busy machine may not tell it in time at first."""
    with anyio.fail_after(PATIENCE):
        while True:
            with suppress(Overloaded):
                await until(lambda: node.ready)
                return await node.missed({"x": [position]})


@pytest.mark.parametrize(
    "position",
    [
        "{node}:0:{epoch}:fffffffffffff",  # it has not been given so many
        "{node}:0:1:0",  # another log
        "{node}:fffffffffffff:{epoch}:0",  # what does not come
        "{node}:0:{epoch}",
        "{node}:0:{epoch}:0:0:{epoch}:0",  # more shards than there are
        "{node}:-1:{epoch}:0",
        "{node}:0:{epoch}:10000000000000000",
        "{node}:0:{epoch}:A",
        "{node}\n:0:{epoch}:0",
        "a{{b}}:0:{epoch}:0",
        "{node}:٣:{epoch}:0",
        "x" * 17 + ":0:{epoch}:0",
    ],
)
async def test_what_is_no_position_of_this_log(make: MakePubSub, position: str) -> None:
    one, two = make(), make()
    async with one, two, Inbox.of(two):
        node, _, epoch, _ = one.position.split(":")
        assert await two.missed({"x": [f"{node}:0:{epoch}:0"]}) == []
        assert await two.missed({"x": [position.format(node=node, epoch=epoch)]}) is None


async def test_no_more_nodes_are_asked_for_than_a_number(make: MakePubSub) -> None:
    async with make() as one, Inbox.of(one):
        _, _, epoch, _ = one.position.split(":")
        others = [f"node-{number}:0:{epoch}:0" for number in range(257)]
        assert await one.missed({"x": others[:256]}) == []
        assert await one.missed({"x": others}) is None
        assert await one.missed({"x": []}) is None


def test_what_came_twice_to_the_log_is_told_once() -> None:
    """Its publisher had no answer, and the server did not know any more that it had come."""
    packer = Packer("a", 1_000)
    (packed,) = packer.pack([Message("x", b"1", 1, kept=True), Message("x", b"2", 2, kept=True)])
    start = Position("b", 0, Place(1, 0))
    found = Found(Position("b", 0, Place(1, 4)), {"x": [start]})
    for follows in (0, 2):
        found.look_at(Logged(Place(1, follows + 2), follows, "room:x", packed.data))
    assert found.messages == [("x", b"1"), ("x", b"2")]


def test_shards_are_spread_over_a_cluster() -> None:
    for shards in range(1, MAX_SHARDS + 1):
        parts = [
            key_slot(tag.encode()) * shards // REDIS_CLUSTER_HASH_SLOTS for tag in tags(shards)
        ]
        assert parts == list(range(shards))
    longest = position("x" * 8, [(2**52 - 1, Place(2**44 - 1, 2**52 - 1))] * MAX_SHARDS)
    assert len(longest) <= 256
    assert positions(longest, MAX_SHARDS)[0] == Position(
        "x" * 8, 2**52 - 1, Place(2**44 - 1, 2**52 - 1)
    )
    for shards in (0, MAX_SHARDS + 1):
        with pytest.raises(UsageError, match="1 to 6 shards"):
            RedisPubSub("redis://127.0.0.1", shards=shards)
