"""Jobs that run on another node: cancelled, and taken up, as if they ran here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import pytest

from lbproto import Job, Server
from lbproto.backends.memory import MemoryBroker, MemoryPubSub, MemoryStorage
from lbproto.nodes.messages import Answer, decode
from lbproto.registry import RESERVED
from lbproto.testing import VirtualClock, settle
from tests.core.harness import Client, Sent, connected
from tests.core.recording import Line
from tests.core.working import Dig, DigResponse, Lost, Site, dug, errors, names

pytestmark = pytest.mark.anyio


class Wire(MemoryPubSub):
    """Loses what it is told to."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.losing = 0  # answers to calls, from here on

    def publish_nowait(self, channel: str, payload: bytes, *, kept: bool = False) -> None:
        if self.losing and channel.startswith(RESERVED) and isinstance(decode(payload), Answer):
            self.losing -= 1
            return
        super().publish_nowait(channel, payload, kept=kept)


class Cluster:
    """Nodes with the same jobs."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.broker = MemoryBroker()
        self.wires: list[Wire] = []
        self.go_on = anyio.Event()
        self.gates = {2: self.go_on}  # by how many outputs there have to be before they are shut
        self.text = "x"
        self.sent = 0
        self.site = Site(self._dig)

    async def _dig(self, job: Job[Dig]) -> None:
        for number in range(1, job.request.depth + 1):
            await job.send(DigResponse(job_id=job.id, found=f"{number}{self.text}"))
            self.sent = number
            if number in self.gates:
                await self.gates[number].wait()

    @asynccontextmanager
    async def running(self, many: int = 1, **options: Any) -> AsyncIterator[list[Server]]:
        async with AsyncExitStack() as stack:
            servers = []
            for _ in range(many):
                self.wires.append(Wire(self.broker))
                run = self.site.running(pubsub=self.wires[-1], clock=self.clock, **options)
                servers.append(await stack.enter_async_context(run))
            await settle()
            yield servers


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


def found(sent: list[Sent]) -> list[str]:
    return [each.data["found"] for each in sent if each.name == "dig_response"]


async def taken_up(server: Server, id_: str, after: int = 0, user: str = "ada") -> Client:
    client = await connected(server, user)
    await client.send("attach", {"id": id_, "after": after})
    await settle()
    return client


async def test_a_job_is_cancelled_from_another_node(cluster: Cluster) -> None:
    async with cluster.running(3) as (one, two, _):
        ada = await connected(one)
        await dug(ada, {"depth": 3})
        id_ = cluster.site.jobs[0].id
        client = await connected(two)
        assert await client.ask("cancel", {"id": id_}, ack=1) == [Sent("ack", {"ok": True}, 1)]
        assert errors(ada.take()) == ["CANCELLED"]
        (error,) = await client.ask("cancel", {"id": id_})
        assert error.data["code"] == "NOT_FOUND"


@pytest.mark.parametrize("event", ["cancel", "attach"])
async def test_nobody_has_what_is_somebody_elses_or_unknown(cluster: Cluster, event: str) -> None:
    async with cluster.running(3) as (one, two, _):
        await dug(await connected(one))
        eve = await connected(two, "eve")
        for id_ in (cluster.site.jobs[0].id, "unknown"):
            (error,) = await eve.ask(event, {"id": id_})
            assert error.data["code"] == "NOT_FOUND"


async def test_a_node_that_does_not_answer_is_waited_for_for_a_second(cluster: Cluster) -> None:
    async with cluster.running(3) as (one, *_), anyio.create_task_group() as tasks:
        client = await connected(one)
        cluster.broker.nodes.discard(cluster.wires[2])
        tasks.start_soon(client.send, "attach", {"id": "unknown"})
        await cluster.clock.advance(0.9)
        assert client.take() == []
        await cluster.clock.advance(0.1)
        assert client.take()[0].data["code"] == "NOT_FOUND"


@pytest.mark.parametrize(("after", "begins"), [(0, 0), (2, 2), (99, 3)])
async def test_a_job_is_taken_up_on_another_node(cluster: Cluster, after: int, begins: int) -> None:
    async with cluster.running(3) as (one, two, _):
        ada = await connected(one)
        start = await dug(ada, {"depth": 5})
        id_ = cluster.site.jobs[0].id
        client = await taken_up(two, id_, after)
        attached, *told = client.take()
        assert attached == Sent("attached", {"id": id_, "after": begins})
        assert told == start[begins:]
        cluster.go_on.set()
        await settle()
        rest = ada.take()
        assert names(rest) == ["dig_response"] * 3 + ["dig_closing", "dig_completed"]
        assert client.take() == rest
        assert not one._control._replies
        assert not two._control._asked


async def test_who_takes_a_job_up_twice_is_told_once(cluster: Cluster) -> None:
    async with cluster.running(2) as (one, two):
        await dug(await connected(one), {"depth": 4})
        id_ = cluster.site.jobs[0].id
        client = await taken_up(two, id_)
        await client.send("attach", {"id": id_, "after": 3})
        await settle()
        client.take()
        cluster.go_on.set()
        await settle()
        assert names(client.take()) == ["dig_response"] * 2 + ["dig_closing", "dig_completed"]
        assert not one._control._replies
        assert not two._control._asked


async def test_a_job_goes_on_for_whoever_has_taken_it_up_elsewhere(cluster: Cluster) -> None:
    async with cluster.running(2) as (one, two):
        ada = await connected(one)
        await dug(ada)
        client = await taken_up(two, cluster.site.jobs[0].id)
        ada.close()
        await settle()
        assert not cluster.site.unwound
        client.close()
        await settle()
        assert cluster.site.unwound
        assert not one._control._replies
        assert not two._control._asked


async def test_a_job_ends_with_the_node_of_the_last_who_waits_for_it(cluster: Cluster) -> None:
    async with cluster.running(2) as (one, two):
        ada = await connected(one)
        await dug(ada)
        await taken_up(two, cluster.site.jobs[0].id)
        ada.close()
        cluster.broker.nodes.discard(cluster.wires[1])
        await cluster.clock.advance(20.0)
        assert cluster.site.unwound


async def test_whose_jobs_node_dies_is_told_so(cluster: Cluster) -> None:
    async with cluster.running(2) as (one, two):
        await dug(await connected(one))
        client = await taken_up(two, cluster.site.jobs[0].id)
        client.take()
        cluster.broker.nodes.discard(cluster.wires[0])
        await cluster.clock.advance(21.0)
        assert names(client.take()) == ["answers_lost"]
        assert not two._control._asked


async def test_whose_jobs_node_dies_is_told_of_its_end_where_that_is_recorded(
    cluster: Cluster,
) -> None:
    storage = MemoryStorage(cluster.clock)
    async with (
        cluster.running(storage=(line := Line(storage))) as (one,),
        cluster.running(storage=Line(storage)) as (two,),
    ):
        await dug(await connected(one))
        client = await taken_up(two, cluster.site.jobs[0].id)
        client.take()
        cluster.broker.nodes.discard(cluster.wires[0])
        line.is_cut = True
        await cluster.clock.advance(40.0)
        assert [each.name for each in client.take()] == ["answers_lost", "dig_closing", "dig_error"]


async def test_who_is_told_by_a_node_that_stops_is_to_take_the_job_up_again(
    cluster: Cluster,
) -> None:
    """Which that leaves to the next node of the session, as all that it alone was sent."""
    async with cluster.running() as (one,):
        async with cluster.running() as (two,):
            await dug(await connected(one))
            client = await taken_up(two, cluster.site.jobs[0].id)
            client.take()
        assert names(client.take()) == ["answers_lost"]


async def test_what_is_lost_on_the_way_is_asked_for_again(cluster: Cluster) -> None:
    async with cluster.running(2) as (one, two):
        ada = await connected(one)
        await dug(ada, {"depth": 6})
        client = await taken_up(two, cluster.site.jobs[0].id)
        assert names(client.take()) == ["attached", "dig_started"] + ["dig_response"] * 2
        ada.take()
        cluster.gates[4] = anyio.Event()
        cluster.wires[0].losing = 1
        cluster.go_on.set()
        await settle()
        assert found(client.take()) == found(ada.take()) == ["3x", "4x"]
        cluster.gates[4].set()
        await settle()
        assert client.take() == ada.take()
        assert not two._control._asked


async def test_what_can_never_be_sent_ends_the_telling_not_the_job(cluster: Cluster) -> None:
    async with cluster.running(2) as (one, two):
        ada = await connected(one)
        await dug(ada, {"depth": 6})
        client = await taken_up(two, cluster.site.jobs[0].id)
        client.take()
        cluster.wires[0].losing = 100
        cluster.go_on.set()
        await cluster.clock.advance(7.0)
        assert names(ada.take())[-1] == "dig_completed"
        assert names(client.take()) == ["answers_lost"]


async def test_a_job_waits_for_a_client_elsewhere_that_does_not_read(cluster: Cluster) -> None:
    cluster.text = "x" * 20_000
    async with cluster.running(2) as (one, two):
        ada = await connected(one, max_bytes=10**8)
        await dug(ada, {"depth": 200})
        id_ = cluster.site.jobs[0].id
        client = await connected(two, max_bytes=10**8)
        read = anyio.Event()

        async def wait_drained() -> None:
            await read.wait()

        client.socket.wait_drained = wait_drained  # type: ignore[method-assign]
        await client.send("attach", {"id": id_})
        cluster.go_on.set()
        await settle()
        assert 10 < cluster.sent < 60
        read.set()
        await settle()
        assert cluster.sent == 200
        assert len(found(client.take())) == 200


async def test_a_job_waits_for_a_client_elsewhere_that_is_away(cluster: Cluster) -> None:
    cluster.text = "x" * 20_000
    async with cluster.running(2) as (one, two):
        ada = await connected(one, max_bytes=10**8)
        await dug(ada, {"depth": 200})
        client = await taken_up(two, cluster.site.jobs[0].id)
        client.take()
        away = Lost(client)
        cluster.go_on.set()
        await settle()
        assert 50 < cluster.sent < 120
        back = await away.comes_back()
        await settle()
        assert cluster.sent == 200
        assert len(found(back.take())) == 198
