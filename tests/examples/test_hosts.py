"""Hosts that a server is embedded in, and stock clients that know users by the host's tokens."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.node import NodeClient, need_node
from tests.examples.test_examples import EXAMPLES, FROM_EXAMPLES
from tests.serving import serving

SHOWN = {"authorization": "Bearer secret"}


@pytest.fixture(autouse=True)
def node() -> None:
    need_node()


@pytest.mark.parametrize("name", ["fastapi_mount", "litestar_mount"])
def test_a_route_tells_the_room_whose_order_it_was(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) < 60
    path = "/realtime/socket.io/"
    with serving(f"{name}:app", "uvicorn-direct", options=FROM_EXAMPLES) as server:
        with NodeClient.connecting(server.http, path=path, auth={"token": "secret"}) as client:
            client.until(happened="connect")
            assert client.call("subscribe", {"room": "orders"})["ok"] is True
            answer = httpx.post(f"{server.http}/orders/ACME", headers=SHOWN)
            assert answer.json() == {"told": 1}
            assert client.event("order_placed") == {"userId": "alice", "symbol": "ACME"}
            for headers in ({}, {"authorization": "Bearer another"}):
                refused = httpx.post(f"{server.http}/orders/ACME", headers=headers)
                assert refused.status_code in (400, 401)
        with NodeClient.connecting(server.http, path=path, auth={"token": "another"}) as client:
            assert client.until(happened="connect_error")["data"]["code"] == "UNAUTHORIZED"
        assert httpx.get(f"{server.http}/elsewhere").status_code == 404
        server.stop()
        assert "Traceback" not in server.log, server.log


def test_django_lets_in_who_is_signed_in_there() -> None:
    with (
        serving("django_mount:app", options=FROM_EXAMPLES) as server,
        httpx.Client(base_url=server.http) as browser,
    ):
        browser.get("/sign-in/alice")
        token = browser.get("/token").json()["token"]
        with NodeClient.connecting(server.http, auth={"token": token}) as client:
            client.until(happened="connect")
            assert client.event("connected")["userId"] == "alice"
            assert browser.post("/order/ACME").json() == {"told": 1}
            assert client.event("order_placed") == {"symbol": "ACME"}
        forged = token.replace(":", "x:", 1)
        with NodeClient.connecting(server.http, auth={"token": forged}) as client:
            assert client.until(happened="connect_error")["data"]["code"] == "UNAUTHORIZED"
        assert browser.get("/elsewhere").status_code == 404
        server.stop()
        assert "Traceback" not in server.log, server.log
