"""Pub/sub over NATS: conformance, and what is its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

import anyio
import pytest
from anyio import to_thread

from lbproto import UsageError
from lbproto.backends.nats_pubsub import NATSPubSub
from lbproto.backends.parcels import Message, Packer
from lbproto.testing.pubsub import Inbox, MakePubSub, PubSubSuite
from tests.backends.nats import NATS
from tests.backends.redis_limiting import until
from tests.serving import free_port

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def nats() -> Iterator[NATS]:
    server = NATS()
    yield server
    server.stop()


class TestNATSPubSub(PubSubSuite):
    @pytest.fixture
    def make_pubsub(self, nats: NATS, prefix: str) -> MakePubSub:
        return partial(NATSPubSub, nats.url, prefix=prefix)


@pytest.mark.usefixtures("brisk")
async def test_a_blip_loses_nothing(nats: NATS, prefix: str) -> None:
    urls = f"nats://127.0.0.1:{free_port()}", nats.url  # the first is not there
    one, two = (NATSPubSub(*urls, prefix=prefix) for _ in range(2))
    async with one, two, Inbox.of(two) as inbox:
        await two.subscribe("x")
        received = []
        for number in range(50):
            if number == 20:  # what it was passing on would be lost
                received = [await inbox.take() for _ in range(number)]
                await to_thread.run_sync(nats.kill)
                await until(lambda: not one.ready and not two.ready)
            if number == 40:
                await to_thread.run_sync(nats.start)
            one.publish_nowait("x", b"%d" % number)
            await anyio.sleep(0.001)
        received += [await inbox.take() for _ in range(30)]
        assert received == [("x", b"%d" % number) for number in range(50)]
        assert two.ready
        assert two.statistics().missed == 0


class LatePubSub(NATSPubSub):
    """Needs a second to connect, as where a packet is lost."""

    async def _connect(self) -> Any:
        await asyncio.sleep(1)
        return await super()._connect()


@pytest.mark.usefixtures("brisk")
async def test_behind_a_silence_those_are_waited_for_who_find_back_late(
    nats: NATS, prefix: str
) -> None:
    one = NATSPubSub(nats.url, prefix=prefix, timeout=0.3, heartbeat=0.05)
    late = LatePubSub(nats.url, prefix=prefix, timeout=2.0, heartbeat=0.05)
    async with one, late, Inbox.of(late) as inbox:
        await late.subscribe("x")
        with nats.suspended():
            await until(lambda: not one.ready and not late.ready)
            one.publish_nowait("x", b"1")
        assert await inbox.take() == ("x", b"1")


SETTINGS = """
max_payload: 1000100
authorization {
  users: [
    {user: all, password: right}
    {user: deaf, password: right, permissions: {publish: ">", subscribe: "other.>"}}
    {user: mute, password: right, permissions: {publish: "other.>", subscribe: ">"}}
  ]
}
"""


@pytest.fixture(scope="module")
def strict() -> Iterator[NATS]:
    server = NATS(SETTINGS)
    yield server
    server.stop()


@pytest.mark.parametrize("user", ["", "nobody:right@", "all:wrong@", "deaf:right@", "mute:right@"])
async def test_a_user_who_is_not_let_in(user: str, strict: NATS) -> None:
    url = strict.url.replace("//", f"//{user}")
    with pytest.raises(UsageError, match="NATS refuses the connection") as caught:
        await NATSPubSub(url).__aenter__()
    assert "right" not in str(caught.value)
    assert "wrong" not in str(caught.value)


async def test_a_server_that_takes_less_is_said(strict: NATS) -> None:
    url = strict.url.replace("//", "//all:right@")
    async with NATSPubSub(url, max_payload=1_000_000):
        pass
    with pytest.raises(UsageError, match="takes 1000100 bytes at most"):
        await NATSPubSub(url, max_payload=1_000_100).__aenter__()


async def test_a_server_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    async with NATSPubSub(f"nats://127.0.0.1:{free_port()}") as pubsub:
        assert not pubsub.ready
    assert caplog.text.count("The other nodes are out of reach: ") == 1
    with pytest.raises(UsageError, match="needs the URL"):
        NATSPubSub()


async def test_what_is_missing_is_announced(nats: NATS, prefix: str) -> None:
    async with NATSPubSub(nats.url, prefix=prefix) as pubsub, Inbox.of(pubsub) as inbox:
        await pubsub.subscribe("x")
        packer = Packer("another", 1_000)

        async def arrive(number: int, *, lost: bool) -> None:
            (packed,) = packer.pack([Message("x", b"%d" % number)])
            if not lost:
                pubsub._deliver("room:x", packed.data)

        for number, lost in enumerate((False, True, True, False)):
            await pubsub._call(partial(arrive, lost=lost), number)
        assert await inbox.take() == ("x", b"0")
        assert await inbox.take_any() == ("x", None)
        assert await inbox.take() == ("x", b"3")
        assert pubsub.statistics().missed == 2
        assert pubsub.position == ""
        assert await pubsub.missed({"x": [""]}) is None
