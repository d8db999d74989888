"""The example of limits that several nodes count together, as its reader would run it."""

from __future__ import annotations

import pytest

from tests.examples.test_examples import FACTORY, alice, exchange
from tests.ledger.servers import Valkey
from tests.serving import serving


def test_two_nodes_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    valkey = Valkey(appendonly="no")
    monkeypatch.setenv("REDIS_URL", valkey.url)
    try:
        with (
            serving("together:server.asgi", options=FACTORY) as first,
            serving("together:server.asgi", options=FACTORY) as second,
            alice(first.ws) as one,
            alice(second.ws) as two,
        ):
            answers = [exchange(socket, "work", {}) for socket in (one, two, one, two)]
    finally:
        valkey.stop()
    assert [answer["event"] for answer in answers] == ["worked"] * 3 + ["rate_limit_error"]
    assert 0 < answers[-1]["data"]["retryAfter"] <= 20
