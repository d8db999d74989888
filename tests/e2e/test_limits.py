"""Clients of others that ask for too much, over real sockets."""

from __future__ import annotations

from contextlib import suppress
from secrets import token_hex
from typing import Any

import anyio
import pytest
import socketio
from websockets.exceptions import ConnectionClosed

from tests.e2e.clients import JSON, MSGPACK, SECONDS, PlainClient, RawClient
from tests.e2e.conftest import Serve
from tests.serving import ServerProcess

pytestmark = pytest.mark.anyio

LIMITED = {
    "code": "RATE_LIMITED",
    "message": "Too many requests: at most 4 in 600 s, 2 of them at once",
}
TRANSPORTS = ["websocket"]
FLOODING = (1008, "flooding: too many requests after they were refused")


@pytest.fixture(params=["uvicorn-uvloop", "uvicorn-direct", "hypercorn-trio"])
def limiting(request: pytest.FixtureRequest, serve: Serve) -> ServerProcess:
    return serve("tests.e2e.limiting:app", request.param)


def waits(error: dict[str, Any]) -> bool:
    """Whether a refusal is this one, and says how long to wait; the clock of the server goes on."""
    rest = dict(error)
    return 290 <= rest.pop("retryAfter") <= 300 and rest == LIMITED


async def test_a_stock_client(limiting: ServerProcess) -> None:
    client = socketio.AsyncClient(reconnection=False)
    told: list[Any] = []
    ended: list[str] = []

    async def refused(payload: Any, *_offset: str) -> None:
        told.append(payload)

    async def disconnected(reason: str) -> None:
        ended.append(reason)

    client.on("rate_limit_error", refused)
    client.on("disconnect", disconnected)
    auth = {"token": f"token-{token_hex(4)}"}
    with anyio.fail_after(SECONDS):
        await client.connect(limiting.http, auth=auth, transports=TRANSPORTS, wait_timeout=SECONDS)
        for _ in range(2):
            assert (await client.call("echo", {"text": "a"}))["ok"]
        acknowledged = await client.call("echo", {"text": "b"})
        assert acknowledged["ok"] is False
        assert waits(acknowledged["error"])
        assert (await client.call("ping"))["ok"]
        assert told == [{**acknowledged["error"], "event": "echo"}]
        for _ in range(9):
            assert not (await client.call("echo", {"text": "b"}))["ok"]
        await client.emit("echo", {"text": "once too often"})
        await client.wait()
    # It is the connection that ends: a stock client that reconnects comes back by itself.
    assert ended
    assert ended[0] != client.reason.SERVER_DISCONNECT


@pytest.mark.parametrize("protocol", [JSON, MSGPACK])
async def test_a_plain_client(limiting: ServerProcess, protocol: str) -> None:
    name = token_hex(4)
    async with PlainClient.connecting(limiting, name, subprotocols=[protocol]) as client:
        for _ in range(2):
            assert (await client.call("echo", {"text": "a"}))["event"] == "echoed"
        refusal = await client.call("echo", {"text": "b"})
        assert refusal["event"] == "rate_limit_error"
        assert refusal["data"].pop("event") == "echo"
        assert waits(refusal["data"])
        for _ in range(9):
            again = await client.call("echo", {"text": "b"})
            assert again["event"] in ("ack", "rate_limit_error")
        await client.send("echo", {"text": "once too often"})
        assert await client.closed() == FLOODING


async def test_messages_that_cannot_be_read_count(limiting: ServerProcess) -> None:
    async with PlainClient.connecting(limiting, token_hex(4)) as client:
        await client.until("connected")
        for _ in range(2):
            await client.websocket.send("{")
            assert (await client.next())["event"] == "validation_error"
        await client.websocket.send("{")
        refusal = await client.next()
        assert refusal["event"] == "rate_limit_error"
        assert waits(refusal["data"])
        with suppress(ConnectionClosed):
            for _ in range(20):
                await client.websocket.send("{")
        closed = await client.closed()
    # Where a server closes while it is still being sent to, TCP may drop what it had said.
    assert closed == FLOODING or closed[0] == 1006


async def test_a_flood_all_at_once(limiting: ServerProcess) -> None:
    async with RawClient.connecting(limiting) as client:
        await client.authenticate(token_hex(4))
        await client.send(*['42["echo",{"text":"a"}]'] * 500)
        closed = await client.closed()
    # Where a server closes while it is still being sent to, TCP may drop what it had said.
    assert closed == FLOODING or closed[0] == 1006
