"""The examples of whole domains do what they say, served as their readers would serve them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.examples.test_examples import EXAMPLES, FACTORY, FROM_EXAMPLES, alice, exchange
from tests.ledger.servers import Valkey
from tests.serving import serving

ENDS = ("answered", "insufficient_credits")


@contextmanager
def bob(address: str) -> Iterator[ClientConnection]:
    with connect(f"{address}/ws", additional_headers={"authorization": "Bearer other"}) as socket:
        assert json.loads(socket.recv(timeout=60))["event"] == "connected"
        yield socket


def until(socket: ClientConnection, event: str) -> Any:
    """The payload of the next event of this name."""
    while (frame := json.loads(socket.recv(timeout=60)))["event"] != event:
        pass
    return frame["data"]


@pytest.mark.parametrize(
    "name", ["chat_room", "dashboard", "django_mount", "parking", "priced_llm", "worker"]
)
def test_they_are_short(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) < 60


def test_a_chat_room_shows_what_was_said_and_who_comes() -> None:
    app = serving("chat_room:server.asgi", options=FACTORY)
    with app as server, alice(server.ws) as one, bob(server.ws) as other:
        assert exchange(one, "subscribe", {"room": "room:tea"})["event"] == "subscribed"
        one.send(json.dumps({"event": "say", "data": {"room": "tea", "text": "hello"}}))
        line = {"user": "alice", "text": "hello"}
        assert until(one, "said") == {"room": "tea", "line": line}
        assert exchange(other, "subscribe", {"room": "room:tea"})["event"] == "subscribed"
        assert until(other, "said_before") == {"room": "tea", "lines": [line]}
        assert until(one, "user_joined_room")["userId"] == "bob"
        refused = exchange(one, "say", {"room": "moon", "text": "hello"})
        assert refused["data"]["message"] == "There is no such room. Rooms: lobby, tea"


def test_a_dashboard_shows_the_load() -> None:
    with (
        serving("dashboard:app", options=FROM_EXAMPLES) as server,
        connect(server.ws + "/ws") as page,
    ):
        assert "new WebSocket" in httpx.get(server.http).text
        page.send(json.dumps({"event": "authenticate", "data": {"token": "secret"}}))
        until(page, "connected")
        page.send(json.dumps({"event": "subscribe", "data": {"room": "load"}}))
        assert until(page, "load")["minute"] >= 0
        assert until(page, "load")["minute"] >= 0


def test_a_priced_model_stops_where_no_credit_is_left() -> None:
    with serving("priced_llm:server.asgi", options=FACTORY) as server, alice(server.ws) as socket:
        answered = []
        for prompt in ("one two three", "four five six"):
            socket.send(json.dumps({"event": "ask", "data": {"prompt": prompt}, "id": 1}))
            tokens = []
            while (frame := json.loads(socket.recv(timeout=60)))["event"] not in ENDS:
                if frame["event"] == "token":
                    tokens.append(frame["data"]["text"])
            answered.append((frame["event"], tokens))
        assert answered[0] == ("answered", ["one", "two", "three"])
        assert answered[1] == ("insufficient_credits", ["four", "five"])


def test_a_car_park_is_full_until_somebody_leaves() -> None:
    with serving("parking:server.asgi", options=FACTORY) as server, alice(server.ws) as socket:
        assert exchange(socket, "subscribe", {"room": "parking"})["event"] == "subscribed"
        assert until(socket, "free_places") == {"count": 2}
        places = [exchange(socket, "park", {"plate": each})["data"]["place"] for each in "AABB"]
        assert places == [1, 1, 2, 2]
        full = exchange(socket, "park", {"plate": "C"})
        assert full["event"] == "parking_error"
        assert full["data"]["plate"] == "C"
        assert full["data"]["retryAfter"] == 60
        assert exchange(socket, "leave", {"plate": "A"})["data"] == {"count": 1}
        assert exchange(socket, "park", {"plate": "C"})["data"]["place"] == 1


def test_a_worker_tells_the_clients_of_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    valkey = Valkey(appendonly="no")
    monkeypatch.setenv("REDIS_URL", valkey.url)
    try:
        with (
            serving("worker:server.asgi", options=FACTORY) as server,
            alice(server.ws) as socket,
        ):
            command = [sys.executable, str(EXAMPLES / "worker.py"), "alice"]
            subprocess.run(command, check=True, timeout=60)
            assert until(socket, "report_ready") == {"name": "sales"}
            assert until(socket, "report_ready") == {"name": "stock"}
    finally:
        valkey.stop()
