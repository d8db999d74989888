"""Clients that do not read what they are sent: nobody else notices, and they are told.

The kernel and the web server hold a few megabytes for a client that does not read, before anything
waits in lbproto's outbox: the tests send more than that.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest

from tests.e2e.clients import PlainClient, RawClient, inspect
from tests.e2e.conftest import Serve
from tests.e2e.slow import KEYS, MAX_BYTES
from tests.serving import ServerProcess

pytestmark = pytest.mark.anyio

SECONDS = 90
MEGABYTE = 2**20
LARGE = 64 * 1024
ENOUGH = 400  # events of that size: more than the kernel, the web server and the outbox hold
NOT_READING: dict[str, Any] = {"max_queue": 1, "compression": None}


@pytest.fixture(params=["uvicorn-uvloop", "uvicorn-direct", "hypercorn-trio"])
def server(request: pytest.FixtureRequest, serve: Serve) -> ServerProcess:
    return serve("tests.e2e.slow:app", request.param)


async def publish(server: ServerProcess, room: str, kind: str, count: int, size: int) -> Any:
    """Publish `count` events; what became of them."""
    async with PlainClient.connecting(server, "eve") as publisher:
        request = {"room": room, "kind": kind, "first": 0, "count": count, "size": size}
        return (await publisher.call("publish", request))["data"]


async def statistics(server: ServerProcess) -> Any:
    async with PlainClient.connecting(server, "eve") as client:
        return (await client.call("count"))["data"]


# One of a thousand


THOUSAND = 1_000
ROUNDS, EVENTS = 2, 12


async def test_one_of_a_thousand_does_not_read(server: ServerProcess) -> None:
    """The other 999 get every event, in order; the one is disconnected, and memory is bounded."""
    before, counted = await inspect(server), await statistics(server)
    read_to_the_end = 0

    async def read(client: PlainClient) -> None:
        nonlocal read_to_the_end
        for number in range(EVENTS):
            assert (await client.until("every"))["number"] == number
        read_to_the_end += 1

    async with (
        _subscribers(server, THOUSAND - 1, "slow:all") as readers,
        PlainClient.connecting(server, "bob", **NOT_READING) as stalled,
    ):
        for room in ("slow:all", "slow:alone"):
            await stalled.call("subscribe", {"room": room})
        with anyio.fail_after(SECONDS):
            # What it is sent alone fills its outbox; what is sent to all overflows it.
            await publish(server, "slow:alone", "sample", ENOUGH, LARGE)
            for _ in range(ROUNDS):
                # Round by round, so that a busy machine makes no slow readers of the others.
                async with anyio.create_task_group() as tasks:
                    for reader in readers:
                        tasks.start_soon(read, reader)
                    await publish(server, "slow:all", "every", EVENTS, 8 * 1024)
        assert read_to_the_end == ROUNDS * (THOUSAND - 1)
        after = await statistics(server)
        assert after["slowConsumers"] == counted["slowConsumers"] + 1
        assert after["queuedBytes"] <= MAX_BYTES
        assert (await stalled.closed())[0] == 4408
    # A thousand sessions, and what is kept for those who resume; not what was sent to them.
    assert (await inspect(server))["rss"] - before["rss"] < 100 * MEGABYTE


@asynccontextmanager
async def _subscribers(
    server: ServerProcess, number: int, room: str
) -> AsyncIterator[list[PlainClient]]:
    """So many clients in a room; connected and disconnected a hundred at a time."""
    clients: list[PlainClient] = []
    done = anyio.Event()
    limit = anyio.CapacityLimiter(100)

    async def subscribe(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        async with PlainClient.connecting(server, compression=None, max_queue=None) as client:
            async with limit:
                await client.call("subscribe", {"room": room})
            clients.append(client)
            task_status.started()
            await done.wait()

    async with anyio.create_task_group() as tasks:
        for _ in range(0, number, 100):
            async with anyio.create_task_group() as batch:
                for _ in range(min(100, number - len(clients))):
                    batch.start_soon(tasks.start, subscribe)
        yield clients
        done.set()


# What each policy does


async def test_disconnect_closes_the_transport_and_says_why(server: ServerProcess) -> None:
    counted = await statistics(server)
    async with PlainClient.connecting(server, "bob", **NOT_READING) as client:
        await client.call("subscribe", {"room": "slow:every"})
        told = await publish(server, "slow:every", "every", ENOUGH, LARGE)
        assert told["dropped"] > 0
        assert (await statistics(server))["slowConsumers"] == counted["slowConsumers"] + 1
        assert await client.closed() == (4408, "too slow: reconnect and resume")


async def _check_sampled(packets: AsyncIterator[tuple[str, Any]], told: Any) -> None:
    """All has come or is told as lost, once; the newest has come, and it is told behind that."""
    assert told["dropped"] == 0  # each was queued, at the cost of an older one
    numbers: list[int] = []
    lost, last = 0, ""
    with anyio.fail_after(SECONDS):
        async for event, data in packets:
            if event == "sample":
                numbers.append(data["number"])
            elif event == "events_dropped":
                lost += data["count"]
            last = event
            if len(numbers) + lost >= ENOUGH:
                break
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == ENOUGH - 1
    assert len(numbers) + lost == ENOUGH
    assert lost > 0
    assert last == "events_dropped"


async def test_drop_oldest_keeps_the_newest_and_tells_how_many_are_lost(
    server: ServerProcess,
) -> None:
    async with PlainClient.connecting(server, "bob", **NOT_READING) as client:
        await client.call("subscribe", {"room": "slow:plain"})
        told = await publish(server, "slow:plain", "sample", ENOUGH, LARGE)

        async def packets() -> AsyncIterator[tuple[str, Any]]:
            while True:
                frame = await client.next()
                yield frame["event"], frame["data"]

        await _check_sampled(packets(), told)


async def test_so_it_does_over_socket_io(server: ServerProcess) -> None:
    async with RawClient.connecting(server, **NOT_READING) as client:
        await client.authenticate()
        await client.send('42["subscribe",{"room":"slow:socketio"}]')
        await client.until('42["subscribed"')
        told = await publish(server, "slow:socketio", "sample", ENOUGH, LARGE)

        async def packets() -> AsyncIterator[tuple[str, Any]]:
            while True:
                packet = await client.next()
                assert isinstance(packet, str)
                for found in _events(packet):
                    yield found

        await _check_sampled(packets(), told)


async def test_and_for_a_client_that_does_not_poll(server: ServerProcess) -> None:
    async with httpx.AsyncClient(base_url=server.http, timeout=SECONDS) as http:
        url = "/socket.io/?EIO=4&transport=polling"
        sid = json.loads((await http.get(url)).text[1:])["sid"]
        url += f"&sid={sid}"
        await http.post(url, content='40{"token":"token-bob"}')
        await http.get(url)
        await http.post(url, content='42["subscribe",{"room":"slow:polling"}]')
        while "subscribed" not in (await http.get(url)).text:
            pass
        told = await publish(server, "slow:polling", "sample", ENOUGH, LARGE)

        async def packets() -> AsyncIterator[tuple[str, Any]]:
            while True:
                for packet in (await http.get(url)).text.split("\x1e"):
                    for found in _events(packet):
                        yield found
                    if packet == "2":
                        await http.post(url, content="3")

        await _check_sampled(packets(), told)


def _events(packet: str) -> Iterator[tuple[str, Any]]:
    if packet.startswith("42"):
        event, data, _offset = json.loads(packet[2:])
        yield event, data


async def test_conflate_keeps_the_newest_of_each_key_and_skips_nothing_final(
    server: ServerProcess,
) -> None:
    count = 1_000
    counted = await statistics(server)
    async with PlainClient.connecting(server, "bob", **NOT_READING) as client:
        await client.call("subscribe", {"room": "slow:latest"})
        # One key more than it may take keeps it busy; then the keys replace each other.
        told = await publish(server, "slow:latest", "latest", count, 16 * 1024)
        await client.send("echo", {"text": "end"})
        states: dict[int, int] = {}
        final: list[int] = []
        with anyio.fail_after(SECONDS):
            while (frame := await client.next())["event"] != "echoed":
                if frame["event"] == "latest":
                    data = frame["data"]
                    assert data["number"] > states.get(data["key"], -1)
                    states[data["key"]] = data["number"]
                    if data["final"]:
                        final.append(data["number"])
                assert frame["event"] != "events_dropped"
    assert told["conflated"] > 0
    assert told["dropped"] == 0
    assert final == [number for number in range(count) if number % 100 < KEYS]
    assert states == {key: count - KEYS + key for key in range(KEYS)}
    after = await statistics(server)
    assert after["conflated"] == counted["conflated"] + told["conflated"]
