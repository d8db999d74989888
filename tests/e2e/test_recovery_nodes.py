"""Stock clients that lose a node, which lives or was killed, and recover on another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import pytest
import socketio
from anyio import to_thread

from tests.e2e.clients import SECONDS, PlainClient
from tests.e2e.node import NodeClient
from tests.e2e.pairs import Pair, serving_two
from tests.e2e.storming import BROKER
from tests.e2e.switch import Switch
from tests.ledger.servers import Valkey

pytestmark = pytest.mark.anyio

ROOM = "talk:a"


@pytest.fixture
def nodes(valkey: Valkey) -> Iterator[Pair]:
    with serving_two("tests.e2e.storming:app", BROKER, valkey.url) as both:
        yield both


@pytest.fixture(params=[False, True], ids=["lives", "killed"])
def killed(request: pytest.FixtureRequest) -> bool:
    """Whether the node that the client was on is killed."""
    found: bool = request.param
    return found


async def _say(nodes: Pair, at: int, *numbers: int) -> None:
    async with PlainClient.connecting(nodes[at], "speaker") as speaker:
        for number in numbers:
            told = await speaker.call("say", {"room": ROOM, "publisher": "p", "number": number})
            assert told["event"] == "told"


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_socket_io_client_recovers_on_another_node(
    nodes: Pair, transport: str, killed: bool
) -> None:
    one, two = nodes
    with Switch.to(one.port) as switch:
        options: dict[str, Any] = {
            "auth": {"token": "token-ada"},
            "transports": [transport],
            "reconnectionDelayMax": 500,
        }
        with NodeClient.connecting(f"http://127.0.0.1:{switch.port}", **options) as client:
            first = client.until(happened="connect")
            client.emit("subscribe", {"room": ROOM})
            client.event("subscribed")
            await _say(nodes, 0, 1)
            assert client.event("said")["number"] == 1
            switch.cut()
            if killed:
                one.kill()
            client.until(happened="disconnect")
            await _say(nodes, 1, 2)
            switch.move(two.port)
            again = client.until(happened="connect")
            assert (again["id"], again["recovered"]) == (first["id"], True)
            assert client.event("said")["number"] == 2
            assert client.event("recovered")["missed"] >= 1
            await _say(nodes, 1, 3)
            assert client.event("said")["number"] == 3


async def test_python_socketio_recovers_on_another_node(nodes: Pair, killed: bool) -> None:
    """It shows by itself neither whom it was nor how far it has got: its user has it do so."""
    one, two = nodes
    client = socketio.AsyncClient(reconnection_delay=0.1, reconnection_delay_max=0.5)
    send, receive = anyio.create_memory_object_stream[tuple[str, Any]](1000)
    shown = {"token": "token-ada"}

    async def take(event: str, *arguments: Any) -> None:
        payload, shown["offset"] = arguments
        if event == "connected":
            shown["pid"] = payload["pid"]
        send.send_nowait((event, payload))

    async def until(name: str) -> Any:
        with anyio.fail_after(SECONDS):
            async for event, payload in receive:
                if event == name:
                    return payload
        raise AssertionError(name)

    client.on("*", take)
    with send, receive, Switch.to(one.port) as switch:
        await client.connect(
            f"http://127.0.0.1:{switch.port}",
            auth=lambda: shown,
            transports=["websocket"],
            wait_timeout=SECONDS,
        )
        sid = (await until("connected"))["sid"]
        await client.emit("subscribe", {"room": ROOM})
        await until("subscribed")
        await _say(nodes, 0, 1)
        assert (await until("said"))["number"] == 1
        switch.cut()
        if killed:
            await to_thread.run_sync(one.kill)
        await _say(nodes, 1, 2)
        switch.move(two.port)
        assert (await until("connected"))["sid"] == sid
        assert (await until("said"))["number"] == 2
        assert (await until("recovered"))["missed"] >= 1
        await _say(nodes, 1, 3)
        assert (await until("said"))["number"] == 3
        await client.disconnect()
