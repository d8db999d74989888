"""Three nodes on one Valkey, and all that can befall them, on a small scale.

The whole of it is `python -m tests.e2e.storm`: 3,000 clients in 200 rooms for a minute; with
`--forgetful`, on a broker that has nothing left after it was killed.
"""

from __future__ import annotations

import asyncio

from tests.e2e.storm import Plan, Storm
from tests.ledger.servers import Valkey


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
