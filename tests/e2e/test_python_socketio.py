"""python-socketio's client, and Engine.IO's long-polling by hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
import socketio
from anyio.streams.memory import MemoryObjectReceiveStream

from tests.e2e.clients import SECONDS
from tests.serving import ServerProcess

pytestmark = pytest.mark.anyio

Events = MemoryObjectReceiveStream[tuple[str, Any]]


@asynccontextmanager
async def _connected(
    url: str, transports: list[str], **options: Any
) -> AsyncIterator[tuple[socketio.AsyncClient, Events]]:
    client = socketio.AsyncClient(reconnection=False)
    send, events = anyio.create_memory_object_stream[tuple[str, Any]](1000)

    async def take(event: str, *arguments: Any) -> None:
        send.send_nowait((event, arguments[0] if arguments else None))

    for namespace in ("/", "/ws"):
        client.on("*", take, namespace=namespace)
    with send, events:
        await client.connect(url, transports=transports, wait_timeout=SECONDS, **options)
        try:
            yield client, events
        finally:
            await client.disconnect()


async def _until(events: Events, name: str) -> Any:
    with anyio.fail_after(SECONDS):
        async for event, payload in events:
            if event == name:
                return payload
    raise AssertionError(name)


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])
@pytest.mark.parametrize("namespace", ["/", "/ws"])
async def test_python_socketio(
    server: ServerProcess, transports: list[str], namespace: str
) -> None:
    auth = {"token": "Bearer token-ada"}
    async with _connected(server.http, transports, auth=auth, namespaces=[namespace]) as (
        client,
        events,
    ):
        assert (await _until(events, "connected"))["userId"] == "ada"
        assert client.transport() == transports[-1]
        await client.emit("subscribe", {"room": "market:ETH-USDT"}, namespace=namespace)
        assert (await _until(events, "subscribed"))["room"] == "market:ETH-USDT"
        assert (await _until(events, "market_chart_initial_data"))["series"]
        await _until(events, "market_chart_live_update")
        request = {"symbol": "ETH-USDT", "resolution": "5s"}
        answer = await client.call("request_market_data", request, namespace=namespace)
        assert answer["ok"] is True
        assert answer["data"] == await _until(events, "market_data_response")
        answer = await client.call(
            "reverse", {"data": b"abc", "parts": [b"1", b"2"]}, namespace=namespace
        )
        assert answer["data"] == {"data": b"cba", "parts": [b"2", b"1"]}


async def test_two_namespaces_on_one_connection(main_server: ServerProcess) -> None:
    auth = {"token": "token-ada"}
    both = ["/", "/ws"]
    async with _connected(main_server.http, ["websocket"], auth=auth, namespaces=both) as (
        client,
        events,
    ):
        sids = {(await _until(events, "connected"))["sid"] for _ in both}
        assert sids == {client.get_sid(namespace) for namespace in both}
        room = {"room": "lobby:both"}
        counts = [
            (await client.call("subscribe", room, namespace=namespace))["data"]["subscriberCount"]
            for namespace in both
        ]
        assert counts == [1, 2]  # one room, a session of its own in each namespace


@pytest.mark.parametrize("transports", [["websocket"], ["polling"]])
async def test_a_refused_token(main_server: ServerProcess, transports: list[str]) -> None:
    client = socketio.AsyncClient(reconnection=False)
    refusals: list[Any] = []

    async def refused(data: Any) -> None:
        refusals.append(data)

    client.on("connect_error", refused)
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(main_server.http, auth={"token": "wrong"}, transports=transports)
    [refusal] = refusals
    assert refusal["data"] == {"code": "UNAUTHORIZED", "message": refusal["message"]}


@asynccontextmanager
async def _http(server: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=server.http, params={"EIO": "4", "transport": "polling"}, timeout=SECONDS
    ) as client:
        yield client


PATH = "/socket.io/"


async def test_polling_by_hand(server: ServerProcess) -> None:
    async with _http(server) as client:
        opened = await client.get(PATH)
        assert opened.status_code == 200
        assert opened.headers["content-type"].lower() == "text/plain; charset=utf-8"
        handshake = json.loads(opened.text.removeprefix("0"))
        assert handshake["upgrades"] == ["websocket"]
        assert handshake["maxPayload"] == 1_000_000
        session = {"sid": handshake["sid"]}

        posted = await client.post(PATH, params=session, content='40{"token":"token-ada"}')
        assert (posted.status_code, posted.text) == (200, "ok")
        packets = (await client.get(PATH, params=session)).text.split("\x1e")
        if len(packets) == 1:  # the two need not come with one poll
            packets += (await client.get(PATH, params=session)).text.split("\x1e")
        assert packets[0].startswith('40{"sid":')
        assert packets[1].startswith('42["connected",{"userId":"ada",')

        echo = '420["echo",{"text":"ü"}]'
        reverse = '451-1["reverse",{"data":{"_placeholder":true,"num":0}}]'
        body = f"{echo}\x1e{reverse}\x1ebYWJj"
        await client.post(PATH, params=session, content=body)
        packets = []
        while len(packets) < 6:
            packets += (await client.get(PATH, params=session)).text.split("\x1e")
        reversed_ = {"data": {"_placeholder": True, "num": 0}, "parts": []}
        answer = {"ok": True, "event": "reversed", "data": reversed_}
        assert packets[0].startswith('42["echoed",{"text":"ü","times":1},"')
        assert packets[1].startswith("430[")
        assert json.loads(packets[2].removeprefix("451-"))[:2] == ["reversed", reversed_]
        assert packets[3] == packets[5] == "bY2Jh"
        assert json.loads(packets[4].removeprefix("461-1")) == [answer]

        closed = await client.post(PATH, params=session, content="1")
        assert closed.status_code == 200
        assert (await client.get(PATH, params=session)).json()["code"] == 1


async def test_a_browser_on_another_origin_may_poll(server: ServerProcess) -> None:
    origin = {"Origin": "https://page.example"}
    async with _http(server) as client:
        preflight = await client.options(
            PATH,
            headers=origin
            | {
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "content-type",
            },
        )
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert preflight.headers["access-control-allow-headers"].lower() == "content-type"
        opened = await client.get(PATH, headers=origin)
        assert opened.headers["access-control-allow-origin"] == "*"


async def test_requests_that_engine_io_refuses(server: ServerProcess) -> None:
    async with _http(server) as client:
        for code, method, params in (
            (0, "GET", {"transport": "carrier-pigeon"}),
            (1, "GET", {"sid": "unknown"}),
            (1, "POST", {"sid": "unknown"}),
            (2, "POST", {}),
            (5, "GET", {"EIO": "3"}),
        ):
            refused = await client.request(method, PATH, params=params)
            assert (refused.status_code, refused.json()["code"]) == (400, code)
        assert (await client.get("/socket.io/elsewhere")).status_code == 404
        assert (await client.get("/")).status_code == 404
