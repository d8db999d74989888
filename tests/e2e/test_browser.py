"""A real browser: a page of another origin, with the stock client and with a plain WebSocket."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from tests.e2e.conftest import APP, Serve
from tests.e2e.node import lines_of, need


@pytest.fixture
def chromium(node: None) -> str:
    """Where the browser is."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    need(found, "Chromium is not installed")
    assert found is not None
    return found


@pytest.mark.parametrize("kind", ["uvicorn-uvloop", "uvicorn-direct", "hypercorn-trio", "granian"])
def test_a_page_shows_live_prices(serve: Serve, kind: str, chromium: str) -> None:
    server = serve(APP, kind)
    seen: dict[str, list[Any]] = {}
    for line in lines_of("browser.mjs", server.http, "token-ada", chromium):
        seen.setdefault(line["event"], []).append(line["data"])

    assert seen["open"] == [{"transport": "polling"}]
    assert seen["upgrade"] == [{"transport": "websocket"}]
    [connected] = seen["connected"]
    assert (connected["userId"], connected["sid"]) == ("ada", connected["id"])
    assert seen["market_chart_initial_data"][0]["candles"] > 0
    assert float(seen["price"][0]["price"]) > 0
    assert "connect_error" not in seen
    assert "pageerror" not in seen
    if kind == "uvicorn-uvloop":  # the one that logs requests by itself
        assert '"OPTIONS /socket.io/?EIO=4&transport=polling' in server.log

    protocol, greeting, echoed = seen["plain"]
    assert protocol == {"protocol": "lbproto.v1.json"}
    assert greeting["event"] == "connected"
    assert echoed.pop("offset")
    assert echoed == {"event": "echoed", "data": {"text": "from a page", "times": 1}, "re": 1}
