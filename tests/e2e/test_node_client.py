"""What else a stock JavaScript client meets: bytes, refusals, errors, heartbeats, restarts."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

from tests.e2e.conftest import APP
from tests.e2e.node import NodeClient
from tests.e2e.probe import PURPOSE
from tests.serving import ServerProcess, serving

pytestmark = pytest.mark.usefixtures("node")

WEBSOCKET = {"transports": ["websocket"]}
POLLING = {"transports": ["polling"]}


def _token(name: str) -> dict[str, Any]:
    return {"auth": {"token": f"Bearer token-{name}"}}


@pytest.mark.parametrize(
    "options",
    [
        WEBSOCKET,
        POLLING,
        {"transports": ["polling", "websocket"]},
        WEBSOCKET | {"parser": "msgpack"},
        POLLING | {"parser": "msgpack"},
    ],
    ids=["websocket", "polling", "upgrade", "websocket-msgpack", "polling-msgpack"],
)
def test_bytes_travel_both_ways(main_server: ServerProcess, options: dict[str, Any]) -> None:
    everything, large = bytes(range(256)), os.urandom(200_000)
    with NodeClient.connecting(main_server.http, **options, **_token("ada")) as client:
        client.event("connected")
        answer = client.call("reverse", {"data": everything, "parts": [b"one", b"", large]})
        expected = {"data": everything[::-1], "parts": [large, b"", b"one"]}
        assert answer == {"ok": True, "event": "reversed", "data": expected}
        client.emit("reverse", {"data": b"again", "parts": []})
        assert client.event("reversed") == {"data": b"niaga", "parts": []}


@pytest.mark.parametrize("options", [WEBSOCKET, POLLING], ids=["websocket", "polling"])
@pytest.mark.parametrize("auth", [{"auth": {"token": "Bearer wrong"}}, {"auth": {}}, {}])
def test_a_refused_token_is_final(
    main_server: ServerProcess, options: dict[str, Any], auth: dict[str, Any]
) -> None:
    hasty = {"reconnectionDelay": 1, "randomizationFactor": 0}
    with NodeClient.connecting(main_server.http, **options, **auth, **hasty) as client:
        refusal = client.until(happened="connect_error")
        assert refusal["data"]["code"] == "UNAUTHORIZED"
        assert refusal["message"] == refusal["data"]["message"]
        assert refusal["active"] is False  # it does not come back by itself
        client.command(**_token("bob"))
        client.command(connect=True)
        assert client.event("connected")["userId"] == "bob"
        assert not any(line.get("happened") == "reconnect_attempt" for line in client.seen)


@pytest.mark.parametrize("namespace", ["/nowhere", "/ws/deeper"])
def test_an_unknown_namespace(main_server: ServerProcess, namespace: str) -> None:
    with NodeClient.connecting(main_server.http + namespace, **_token("ada")) as client:
        refusal = client.until(happened="connect_error")
        assert (refusal["message"], refusal["active"]) == ("Invalid namespace", False)


def test_users_see_each_other_come_and_go(main_server: ServerProcess) -> None:
    room = "lobby:presence"
    with NodeClient.connecting(main_server.http, **WEBSOCKET, **_token("ada")) as ada:
        ada.event("connected")
        assert ada.call("subscribe", {"room": room})["data"] == {"room": room, "subscriberCount": 1}
        with NodeClient.connecting(main_server.http, **_token("bob")) as bob:
            bob.event("connected")
            bob.emit("subscribe", {"room": room})
            assert bob.event("subscribed") == {"room": room, "subscriberCount": 2}
            joined = ada.event("user_joined_room")
            assert joined.pop("joinedAt").endswith("Z")
            assert joined == {"userId": "bob", "room": room}

            ada.emit("note", {"name": "presence", "text": "hello"})
            noted = {"userId": "ada", "text": "hello"}
            assert ada.event("noted") == bob.event("noted") == noted

            bob.emit("unsubscribe", {"room": room})
            assert bob.event("unsubscribed") == {"room": room}
            left = ada.event("user_left_room")
            assert left.pop("leftAt").endswith("Z")
            assert left == {"userId": "bob", "room": room}

            bob.emit("subscribe", {"room": room})
            assert ada.event("user_joined_room")["userId"] == "bob"
        assert ada.event("user_left_room")["userId"] == "bob"  # bob's program has ended
    for name, other in ((ada, "ada"), (bob, "bob")):  # nobody is told of themselves
        seen = [line["args"][0] for line in name.seen if line.get("event") == "user_joined_room"]
        assert not [event for event in seen if event["userId"] == other]


def test_what_goes_wrong_is_told(main_server: ServerProcess) -> None:
    with NodeClient.connecting(main_server.http, **WEBSOCKET, **_token("ada")) as client:
        client.event("connected")

        answer = client.call("no_such_event", {"a": 1})
        error = {"code": "INVALID_REQUEST", "message": "There is no event 'no_such_event'"}
        assert answer == {"ok": False, "error": error}
        assert _last(client, "validation_error") == error | {"event": "no_such_event"}

        answer = client.call("subscribe", {"room": 7})
        error = {
            "code": "INVALID_REQUEST",
            "message": "Expected `str`, got `int` - at `$.room`",
        }
        assert answer == {"ok": False, "error": error}
        assert _last(client, "validation_error") == error | {"event": "subscribe"}

        answer = client.call("subscribe", {"room": "nobody:declared"})
        assert answer["error"]["code"] == "NOT_FOUND"
        assert _last(client, "error")["event"] == "subscribe"

        answer = client.call("subscribe", {"room": "market:DOGE-USDT"})
        assert answer["error"]["code"] == "NOT_FOUND"
        assert _last(client, "market_data_error") == answer["error"]

        answer = client.call("fail")
        assert answer["error"]["code"] == "INTERNAL"
        incident = re.search(r"incident ([0-9a-f]+)$", answer["error"]["message"])
        assert incident is not None
        assert incident[1] in main_server.log
        assert PURPOSE not in str(client.seen)

        assert client.call("echo", {"text": "still here"})["ok"] is True


def _last(client: NodeClient, name: str) -> Any:
    """The newest event of that name among those read."""
    return next(line["args"][0] for line in reversed(client.seen) if line.get("event") == name)


@pytest.mark.parametrize("options", [WEBSOCKET, POLLING], ids=["websocket", "polling"])
def test_heartbeats_over_time(brisk_server: ServerProcess, options: dict[str, Any]) -> None:
    name = f"{brisk_server.kind}-{options}"
    with NodeClient.connecting(brisk_server.http, **options, **_token("ada")) as client:
        client.event("connected")
        for _ in range(3):
            client.until(happened="ping")
        client.emit("wait", {"name": name})  # a handler that waits holds up no heartbeat
        for _ in range(3):
            client.until(happened="ping")
        with NodeClient.connecting(brisk_server.http, **_token("bob")) as other:
            other.event("connected")
            other.emit("release", {"name": name})
            other.event("released")
        assert client.event("released") == {"name": name}
        client.emit("ping")
        assert client.event("pong")["timestamp"].endswith("Z")
        assert not any(line.get("happened") == "disconnect" for line in client.seen)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("uvicorn-uvloop", WEBSOCKET),
        ("uvicorn-uvloop", POLLING),
        ("hypercorn-trio", WEBSOCKET),
        ("granian", WEBSOCKET),
    ],
    ids=["uvicorn", "uvicorn-polling", "hypercorn-trio", "granian"],
)
def test_it_comes_back_by_itself_after_a_restart(kind: str, options: dict[str, Any]) -> None:
    hasty = {"reconnectionDelay": 50, "reconnectionDelayMax": 200}
    with (
        serving(APP, kind) as first,
        NodeClient.connecting(first.http, **options, **_token("ada"), **hasty) as client,
    ):
        sid = client.event("connected")["sid"]
        first.stop()
        gone = client.until(happened="disconnect")
        assert gone["active"] is True
        assert gone["reason"] in {"transport close", "transport error"}
        with serving(APP, kind, port=first.port):
            client.until(happened="reconnect")
            connected = client.event("connected")
            assert connected["userId"] == "ada"
            assert connected["sid"] != sid
            assert client.call("echo", {"text": "back"})["ok"] is True
