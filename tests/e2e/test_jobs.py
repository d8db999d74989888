"""Jobs, as clients see them: stock ones, and those that do not read."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.e2e.clients import PlainClient, inspect
from tests.e2e.conftest import Serve
from tests.e2e.dropping import Dropping, Loss
from tests.e2e.node import NodeClient
from tests.serving import ServerProcess

MEGABYTE = 2**20
NOT_READING: dict[str, Any] = {"max_queue": 1, "compression": None}


@pytest.fixture(params=["uvicorn-uvloop", "uvicorn-direct", "hypercorn-trio"])
def server(request: pytest.FixtureRequest, serve: Serve) -> ServerProcess:
    return serve("tests.e2e.jobs:app", request.param)


def events(client: NodeClient, end: str) -> list[tuple[str, Any]]:
    """What a stock client is told up to an event, each with its payload."""
    told = []
    while True:
        line = client.next()
        if (name := line.get("event")) is not None:
            told.append((name, line["args"][0]))
            if name == end:
                return told


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_stock_client_follows_cancels_and_recovers(server: ServerProcess, transport: str) -> None:
    with (
        Dropping.before(server.port) as proxy,
        NodeClient.connecting(
            proxy.url(0), auth={"token": "token-ada"}, transports=[transport], reconnection=False
        ) as client,
    ):
        client.event("connected")
        started = client.call("stream", {"chunks": 3, "size": 10})
        assert started["event"] == "stream_started"
        id_ = started["data"]["jobId"]
        told = events(client, "stream_completed")
        assert [name for name, _ in told if name != "stream_progress"] == [
            *["stream_response"] * 3,
            "stream_completed",
        ]
        assert {data["jobId"] for _, data in told} == {id_}

        id_ = client.call("stream", {"chunks": 10_000, "size": 10, "pause": 0.001})["data"]["jobId"]
        events(client, "stream_response")
        client.emit("cancel", {"id": id_})
        *others, (_, error) = events(client, "stream_error")
        assert len(others) < 10_000
        assert (error["jobId"], error["code"]) == (id_, "CANCELLED")
        refused = client.call("cancel", {"id": id_})
        assert refused["error"]["code"] == "NOT_FOUND"

        client.call("stream", {"chunks": 200, "size": 10, "pause": 0.01})
        events(client, "stream_response")
        with proxy.down(0, Loss.RESET):
            client.until(happened="disconnect")
        client.command(connect=True)
        assert client.until(happened="connect")["recovered"] is True
        events(client, "stream_completed")
        responses = [line for line in client.seen if line.get("event") == "stream_response"]
        assert [line["args"][0]["number"] for line in responses[-200:]] == list(range(200))


@pytest.mark.anyio
async def test_a_job_goes_no_faster_than_its_client_reads(server: ServerProcess) -> None:
    """A client asks for 256 MB, reads nothing for a while, and then everything."""
    chunks = 4_000
    async with (
        PlainClient.connecting(server, "bob", **NOT_READING) as slow,
        PlainClient.connecting(server, "eve") as other,
    ):

        async def produced() -> int:
            number: int = (await other.call("produced"))["data"].get("chunks", 0)
            return number

        before, memory = await produced(), (await inspect(server))["rss"]
        await slow.send("stream", {"chunks": chunks}, id=1)
        with anyio.fail_after(60):
            last = -1
            while (now := await produced()) != last:  # until it waits
                last = now
                await anyio.sleep(0.3)
        assert now - before < 400  # the kernel holds some megabytes of it
        assert (await inspect(server))["rss"] - memory < 40 * MEGABYTE
        numbers = []
        while (frame := await slow.next())["event"] != "stream_completed":
            assert frame.get("re") == (None if frame["event"] == "connected" else 1)
            if frame["event"] == "stream_response":
                numbers.append(frame["data"]["number"])
        assert numbers == list(range(chunks))
        assert (await inspect(server))["rss"] - memory < 40 * MEGABYTE
