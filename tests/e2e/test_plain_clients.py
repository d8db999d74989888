"""Plain WebSocket programs: the `websockets` library against `/ws`."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from tests.e2e.clients import JSON, MSGPACK, PlainClient
from tests.e2e.conftest import Serve
from tests.serving import ServerProcess

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("subprotocols", [[], [JSON], [MSGPACK], ["other", MSGPACK, JSON]])
async def test_a_chart_and_its_updates(server: ServerProcess, subprotocols: list[str]) -> None:
    async with PlainClient.connecting(server, subprotocols=subprotocols) as client:
        agreed = [name for name in subprotocols if name != "other"]
        assert client.websocket.subprotocol == (agreed[0] if agreed else None)
        connected = await client.until("connected")
        assert (connected["userId"], connected["timestamp"][-1]) == ("ada", "Z")
        subscribed = await client.call("subscribe", {"room": "market:ETH-USDT"})
        assert subscribed["event"] == "subscribed"
        assert (await client.next())["event"] == "market_chart_initial_data"
        update = await client.until("market_chart_live_update")
        assert update["symbol"] == "ETH-USDT"
        answer = await client.call(
            "request_market_data", {"symbol": "ETH-USDT", "resolution": "1m"}
        )
        assert answer["event"] == "market_data_response"
        assert answer["data"]["candles"]


async def _greeted(client: PlainClient) -> str:
    user: str = (await client.until("connected"))["userId"]
    return user


@pytest.mark.parametrize("protocol", [JSON, MSGPACK])
async def test_the_token_as_a_subprotocol(server: ServerProcess, protocol: str) -> None:
    offered = [protocol, "bearer.token-bob"]
    for subprotocols in (offered, offered[::-1]):
        async with PlainClient.connecting(server, None, subprotocols=subprotocols) as client:
            assert client.websocket.subprotocol == protocol  # the token is never echoed
            assert await _greeted(client) == "bob"


@pytest.mark.parametrize("protocol", [JSON, MSGPACK])
@pytest.mark.parametrize("token", ["token-ada", "Bearer token-ada", "bearer  token-ada"])
async def test_the_token_as_the_first_event(
    main_server: ServerProcess, protocol: str, token: str
) -> None:
    async with PlainClient.connecting(main_server, None, subprotocols=[protocol]) as client:
        await client.send("authenticate", {"token": token}, id="first")
        await client.send("echo", {"text": "straight behind it"})
        assert await _greeted(client) == "ada"
        assert await client.next() == {"event": "ack", "re": "first", "data": {"ok": True}}
        assert (await client.until("echoed"))["text"] == "straight behind it"


async def _refused(client: PlainClient) -> dict[str, Any]:
    """The one event that a refused client gets, before the close."""
    frame = await client.next()
    assert frame["event"] == "error"
    assert frame["data"]["code"] == "UNAUTHORIZED"
    assert await client.closed() == (4401, "unauthorized")
    return frame


async def test_a_wrong_token(server: ServerProcess) -> None:
    async with PlainClient.connecting(server, "nobody") as client:
        assert (await _refused(client))["data"]["event"] == "authenticate"
    async with PlainClient.connecting(server, None, subprotocols=[JSON, "bearer.x"]) as client:
        await _refused(client)
    async with PlainClient.connecting(server, None) as client:
        await client.send("authenticate", {"token": "x"}, id=5)
        assert (await _refused(client))["re"] == 5


async def test_events_before_the_token(main_server: ServerProcess) -> None:
    async with PlainClient.connecting(main_server, None) as client:
        await client.send("subscribe", {"room": "market:ETH-USDT"}, id=1)
        assert "authenticate first" in (await _refused(client))["data"]["message"]


@pytest.mark.parametrize("kind", ["uvicorn-uvloop", "uvicorn-direct", "hypercorn-trio", "granian"])
async def test_no_token_in_time(serve: Serve, kind: str) -> None:
    server = serve("tests.e2e.app:strict", kind)
    async with PlainClient.connecting(server, None) as client:
        assert (await _refused(client))["data"]["message"] == "no token came in time"
    async with PlainClient.connecting(server, None, subprotocols=[MSGPACK]) as client:
        await _refused(client)


async def test_requests_and_their_answers(main_server: ServerProcess) -> None:
    async with PlainClient.connecting(main_server) as client:
        await client.until("connected")
        await client.send("echo", {"text": "no id"})
        answer = await client.next()
        assert isinstance(answer.pop("offset"), str)
        assert answer == {"event": "echoed", "data": {"text": "no id", "times": 1}}
        await client.send("echo", {"text": "ü", "unknown": [1]}, id="a", more="ignored")
        frame = {"event": "echoed", "re": "a", "data": {"text": "ü", "times": 1}}
        assert (await client.next()).items() >= frame.items()
        # A request that no event answers.
        assert await client.call("note", {"name": "void", "text": "x"}) == {
            "event": "ack",
            "re": 1,
            "data": {"ok": True},
        }
        empty: list[dict[str, Any] | None] = [{}, None]
        for nothing in empty:
            assert (await client.call("ping", nothing))["event"] == "pong"


async def test_errors_name_what_is_wrong(main_server: ServerProcess) -> None:
    async with PlainClient.connecting(main_server) as client:
        unknown = await client.call("no_such_event")
        assert unknown["event"] == "validation_error"
        assert unknown["data"]["event"] == "no_such_event"
        wrong = (await client.call("subscribe", {"room": ["x"]}))["data"]
        assert wrong["message"] == "Expected `str`, got `array` - at `$.room`"
        for room, code in {
            "no:such:room": "NOT_FOUND",
            "user:bob": "UNAUTHORIZED",
            "closed:door": "UNAUTHORIZED",
            "x" * 129: "INVALID_REQUEST",
            "": "INVALID_REQUEST",
        }.items():
            refused = await client.call("subscribe", {"room": room})
            assert refused["event"] in ("error", "validation_error")
            assert refused["data"]["code"] == code, room
        doge = await client.call("subscribe", {"room": "market:DOGE-USDT"})
        assert (doge["event"], doge["data"]["code"]) == ("market_data_error", "NOT_FOUND")
        left = await client.call("unsubscribe", {"room": "user:ada"})
        assert left["data"]["code"] == "INVALID_REQUEST"


async def test_bytes(main_server: ServerProcess) -> None:
    async with PlainClient.connecting(main_server, subprotocols=[MSGPACK]) as client:
        answer = await client.call("reverse", {"data": b"abc", "parts": [b"\xff"]})
        assert answer["data"] == {"data": b"cba", "parts": [b"\xff"]}
    async with PlainClient.connecting(main_server, subprotocols=[JSON]) as client:
        answer = await client.call("reverse", {"data": b64encode(b"abc").decode(), "parts": []})
        assert answer["data"]["data"] == b64encode(b"cba").decode()
