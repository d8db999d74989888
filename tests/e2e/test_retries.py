"""A stock client that tries again by itself, because the acknowledgement was lost on the way."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.dropping import Dropping, Loss
from tests.e2e.node import NodeClient

pytestmark = pytest.mark.usefixtures("node")

# Only the loss makes it try again: it would wait for an hour.
OPTIONS = {"transports": ["websocket"], "retries": 3, "ackTimeout": 3_600_000}
HASTY = {"reconnectionDelay": 20, "reconnectionDelayMax": 100}
TOKEN = {"auth": {"token": "Bearer token-0"}}


@pytest.mark.parametrize("kind", ["uvicorn-uvloop", "uvicorn-direct", "hypercorn-trio"])
@pytest.mark.parametrize("parser", [{}, {"parser": "msgpack"}], ids=["json", "msgpack"])
@pytest.mark.parametrize(
    ("with_id", "served"),
    [(True, 1), (False, 2)],  # without an id, what was served is served again
    ids=["with-id", "without"],
)
def test_a_lost_acknowledgement(
    serve: Serve, kind: str, parser: dict[str, Any], with_id: bool, served: int
) -> None:
    payload = {"requestId": token_hex(8)} if with_id else {}
    server = serve("tests.e2e.counting:still", kind)
    with (
        Dropping.before(server.port) as proxy,
        NodeClient.connecting(proxy.url(0), **OPTIONS, **parser, **HASTY, **TOKEN) as client,
    ):
        sid = client.event("connected")["sid"]
        proxy.lose(0, Loss.HALFWAY_DOWN)  # in the midst of the answer
        client.command(emit="next", args=[payload], ack=1)
        client.until(happened="disconnect")
        assert client.until(happened="connect")["id"] == sid
        assert client.until(ack=1)["args"] == [None, _answer(served)]
        client.command(emit="next", args=[{}], ack=2)
        assert client.until(ack=2)["args"] == [None, _answer(served + 1)]


def _answer(number: int) -> dict[str, Any]:
    return {"ok": True, "event": "answered", "data": {"number": number}}
