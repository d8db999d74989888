"""A server is replaced under a crowd of stock clients: all come back, and not all at once."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.e2e.rolling import restart

pytestmark = pytest.mark.usefixtures("node")

WINDOW = 8
CLIENTS = [["websocket"]] * 400 + [["polling", "websocket"]] * 50 + [["polling"]] * 50


def largest_slice(times: list[float]) -> float:
    """The share of the fullest tenth of the window, counted on after its end."""
    tenths = Counter(int(10 * time / WINDOW) for time in times)
    return max(tenths.values()) / len(times)


def test_everybody_comes_back_spread_over_the_window() -> None:
    seen = restart(CLIENTS, WINDOW)
    assert seen.overlapped
    assert (seen.done.code, seen.done.err) == (0, "")
    assert len(seen.times("subscribed")) == len(CLIENTS)
    assert seen.times("reconnect_failed") == []

    gone = [line for line in seen.lines if line["happened"] == "disconnect"]
    assert {line["client"] for line in gone} == set(range(len(CLIENTS)))
    assert all(line["active"] for line in gone)  # it comes back by itself

    lines = [line for line in seen.lines if line["happened"] == "server_draining"]
    told = [line["retryAfter"] for line in lines if CLIENTS[line["client"]] == ["websocket"]]
    assert len(told) == 400  # each once; a poll may come too late for it
    assert set(told) == set(range(1, WINDOW + 1))

    # When they are back depends on how busy this machine is; when they are sent away does not.
    assert largest_slice(seen.times("disconnect")) < 1 / 3
