"""Nothing is left of clients that have gone, however they came and went."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import anyio
import httpx
import pytest

from tests.e2e.clients import SECONDS, PlainClient, RawClient, until_state
from tests.e2e.conftest import Serve
from tests.serving import ServerProcess

pytestmark = pytest.mark.anyio

CYCLES = 60  # of each kind, the four at once
Client = Callable[[ServerProcess, int, httpx.AsyncClient], Awaitable[None]]
POLLING = {"EIO": "4", "transport": "polling"}


async def _plain(server: ServerProcess, number: int, http: httpx.AsyncClient) -> None:
    async with PlainClient.connecting(server) as client:
        await client.call("subscribe", {"room": f"lobby:{number}"})
        if number % 3 == 0:
            await client.call("unsubscribe", {"room": f"lobby:{number}"})
        if number % 4 == 0:
            client.websocket.transport.abort()


async def _websocket(server: ServerProcess, number: int, http: httpx.AsyncClient) -> None:
    async with RawClient.connecting(server) as client:
        if number % 5 == 0:
            return
        await client.authenticate()
        await client.send(f'42["subscribe",{{"room":"lobby:{number % 7}"}}]')
        await client.until('42["subscribed"')
        if number % 4 == 0:
            await client.send("41", "1")


async def _open_polling(http: httpx.AsyncClient) -> dict[str, str]:
    opened = await http.get("/socket.io/", params=POLLING)
    params = POLLING | {"sid": json.loads(opened.text[1:])["sid"]}
    await http.post("/socket.io/", params=params, content='40{"token":"token-ada"}')
    await http.get("/socket.io/", params=params)
    return params


async def _polling(server: ServerProcess, number: int, http: httpx.AsyncClient) -> None:
    params = await _open_polling(http)
    # Every second session ends for a packet that is malformed.
    await http.post("/socket.io/", params=params, content="1" if number % 2 else "9")


async def _upgraded(server: ServerProcess, number: int, http: httpx.AsyncClient) -> None:
    sid = (await _open_polling(http))["sid"]
    async with RawClient.connecting(server, sid=sid) as client:
        await client.send("2probe")
        await client.until("3probe")
        await client.send("5", '42["subscribe",{"room":"lobby:upgraded"}]')
        await client.until('42["subscribed"')


@pytest.mark.parametrize("kind", ["uvicorn-uvloop", "uvicorn-direct", "hypercorn-trio"])
async def test_hundreds_of_clients_come_and_go(serve: Serve, kind: str) -> None:
    server = serve("tests.e2e.app:forgetful", kind)

    before = await until_state(server, lambda state: state["connections"] == 1)
    async with httpx.AsyncClient(base_url=server.http, timeout=SECONDS) as http:

        async def cycle(client: Client) -> None:
            for number in range(CYCLES):
                await client(server, number, http)

        async with anyio.create_task_group() as tasks:
            for client in (_plain, _websocket, _polling, _upgraded):
                tasks.start_soon(cycle, client)
    # The one that asks is there, and in its personal room.
    nothing = {"connections": 1, "engines": 0, "rooms": 1, "members": 1, "presences": 0}
    after = await until_state(
        server, lambda state: state.items() >= nothing.items() and state["tasks"] <= before["tasks"]
    )
    assert after["pid"] == before["pid"]
    assert after["rss"] - before["rss"] < 16 * 2**20
