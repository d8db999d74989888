"""What is simulated does what its ports ask for, in virtual time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from lbproto.simulator.broker import Broker, SimulatedPubSub
from lbproto.simulator.clock import NodeClock
from lbproto.simulator.logged import LoggedPubSub, LoggingBroker
from lbproto.simulator.loop import Process, VirtualLoop
from lbproto.simulator.stores import Reach, Shared, SimulatedStorage
from lbproto.testing.pubsub import MakePubSub, PubSubSuite
from lbproto.testing.storage import MakeStorage, PassTime, StorageSuite


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """What is simulated runs on the simulator's loop alone."""
    return "asyncio", {"loop_factory": VirtualLoop}


def _loop() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


class TestPubSubOverABroker(PubSubSuite):
    @pytest.fixture
    async def make_pubsub(self) -> MakePubSub:
        loop, names = _loop(), iter(range(100))
        broker = Broker(loop, 1)

        def make() -> SimulatedPubSub:
            name = f"node{next(names)}"
            return SimulatedPubSub(broker, name, Process(loop, name))

        return make


class TestPubSubWithALog(PubSubSuite):
    @pytest.fixture
    async def make_pubsub(self) -> MakePubSub:
        loop, names = _loop(), iter(range(100))
        broker = LoggingBroker(loop, 1, 100_000)

        def make() -> LoggedPubSub:
            name = f"node{next(names)}"
            return LoggedPubSub(broker, name, Process(loop, name))

        return make


class TestStorage(StorageSuite):
    @pytest.fixture
    async def make_storage(self) -> MakeStorage:
        shared = Shared(NodeClock(_loop()))
        return lambda: SimulatedStorage(shared, Reach(1, "node"))

    @pytest.fixture
    def pass_time(self) -> PassTime:
        return asyncio.sleep


@pytest.mark.anyio
async def test_a_log_that_is_forgotten_is_lost_for_who_has_not_got_it() -> None:
    loop = _loop()
    broker = LoggingBroker(loop, 1, 100_000)
    names = ("node0", "node1", "node2")
    async with AsyncExitStack() as stack:
        publisher, near, far = [
            await stack.enter_async_context(LoggedPubSub(broker, name, Process(loop, name)))
            for name in names
        ]
        for each in (near, far):
            await each.subscribe("room")
        before = near.position
        broker.cut_off(far.name)
        publisher.publish_nowait("room", b"1", kept=True)
        assert await anext(near.messages()) == ("room", b"1")
        broker.stop()
        broker.forget()
        broker.start()
        broker.reach(far.name)
        assert await anext(far.messages()) == ("room", None)
        publisher.publish_nowait("room", b"2", kept=True)
        assert await anext(near.messages()) == ("room", b"2")
        assert await anext(far.messages()) == ("room", b"2")
        assert await near.missed({"room": [before]}) is None
