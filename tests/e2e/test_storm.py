"""Three nodes on one Valkey, and all that can befall them, on a small scale.

The whole of it is `python -m tests.e2e.storm`: 3,000 clients in 200 rooms for a minute; with
`--forgetful`, on a broker that has nothing left after it was killed.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.storm import APP, Plan, Storm
from tests.e2e.storm_clients import Client, Nodes
from tests.e2e.storming import BROKER
from tests.ledger.servers import Valkey
from tests.serving import serving


def test_every_clients_log_is_complete() -> None:
    valkey = Valkey()
    told: list[str] = []
    try:
        storm = Storm(Plan(clients=120, rooms=12, seconds=15.0, rate=30.0), valkey, told.append)
        outcome = asyncio.run(storm.run())
    finally:
        valkey.stop()
    assert outcome.faults == [], told
    assert outcome.counts == []
    assert outcome.ghosts == []
    assert outcome.said > 100
    assert outcome.recovered > 60
    assert outcome.lost == 0, told


class _Interrupted(Client):
    """Loses its first connection before it has asked for its room."""

    is_new = True

    def _subscribe(self) -> None:
        if self.is_new:
            self.is_new = False
            self.drop()
        else:
            super()._subscribe()


def test_who_has_a_session_again_and_no_room_asks_for_it(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests are not replayed: a storm that counts it as there would find the counts wrong."""
    monkeypatch.setenv(BROKER, valkey.url)

    async def visit(port: int) -> None:
        client, other = (
            kind(f"user-{kind.__name__}", "talk:1", Nodes(), port)
            for kind in (_Interrupted, Client)
        )
        tasks = [asyncio.create_task(each.run()) for each in (client, other)]
        await client.inside.wait()
        assert client.recovered == 1
        answer = await other.ask("subscribe", {"room": "talk:1"})
        assert answer["subscriberCount"] == 2
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with serving(APP, "lbproto") as node:
        asyncio.run(visit(node.port))
