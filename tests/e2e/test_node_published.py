"""The published JavaScript snippet, unmodified client library, over every transport and server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.node import lines_of
from tests.serving import ServerProcess

pytestmark = pytest.mark.usefixtures("node")

ROOM = "market:ETH-USDT"
TRANSPORTS: list[list[str]] = [["websocket"], ["polling"], ["polling", "websocket"]]
CANDLE = {"timestamp", "open", "high", "low", "close", "volume"}


def _run(address: str, **options: Any) -> dict[str, list[Any]]:
    """Run the program to its end; payloads by event, in order."""
    seen: dict[str, list[Any]] = {}
    for line in lines_of("published.mjs", address, "token-ada", json.dumps(options)):
        seen.setdefault(line["event"], []).append(line["data"])
    return seen


def _check(seen: dict[str, Any]) -> None:
    [connected] = seen["connected"]
    assert connected["userId"] == "ada"
    assert connected["sid"] == connected["id"]
    assert connected["timestamp"].endswith("Z")
    [subscribed] = seen["subscribed"]
    assert subscribed["room"] == ROOM
    assert subscribed["subscriberCount"] >= 1
    [chart] = seen["market_chart_initial_data"]
    assert chart["symbol"] == "ETH-USDT"
    assert 0 < len(chart["series"]) <= 100
    assert all(candle.keys() == CANDLE for candle in chart["series"])
    for update in seen["market_chart_live_update"]:
        assert update["symbol"] == "ETH-USDT"
        assert update.keys() >= CANDLE
        assert update["timestamp"] >= chart["series"][-1]["timestamp"]
    [response] = seen["market_data_response"]
    assert response["symbol"] == "ETH-USDT"
    known = {candle["timestamp"] for candle in response["candles"]}
    assert {candle["timestamp"] for candle in chart["series"][1:]} <= known
    assert seen["ack"] == [{"ok": True, "event": "market_data_response", "data": response}]
    assert seen["unsubscribed"] == [{"room": ROOM}]
    assert "connect_error" not in seen
    assert seen["disconnect"] == [{"reason": "io client disconnect"}]


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
def test_every_transport(server: ServerProcess, transports: list[str]) -> None:
    seen = _run(server.ws, transports=transports)
    _check(seen)
    assert seen["open"] == [{"transport": transports[0]}]
    assert seen["last"] == [{"transport": transports[-1]}]


def test_the_documented_address_is_a_namespace(main_server: ServerProcess) -> None:
    """A stock client reads the `/ws` of the production URL as a namespace."""
    _check(_run(main_server.ws + "/ws"))


@pytest.mark.parametrize("transports", TRANSPORTS, ids="+".join)
def test_the_msgpack_parser(main_server: ServerProcess, transports: list[str]) -> None:
    _check(_run(main_server.ws + "/ws", transports=transports, parser="msgpack"))
