"""A server whose jobs are recorded, and may cost something; where, is told by the environment."""

from __future__ import annotations

import os

from lbproto import Server, StaticTokens
from lbproto.backends.base import Storage
from lbproto.backends.memory import MemoryStorage
from lbproto.backends.redis_storage import RedisStorage
from lbproto.backends.sqlite import SQLiteStorage
from lbproto.jobs import records
from lbproto.ledger.memory import MemoryLedger
from lbproto.ledger.sqlite import SQLiteLedger
from tests.e2e.app import USERS
from tests.e2e.crediting import AHEAD, Ahead
from tests.e2e.jobs import streaming

STORAGE = "LBPROTO_TEST_STORAGE"
"""The URL of a Valkey, or the path of a file; without it records are forgotten."""
LEDGER = "LBPROTO_TEST_LEDGER"
"""The path of a file; without it credits are forgotten."""
PRICE = 2

if STORAGE in os.environ:  # this is a server, which is known to be dead sooner: tests wait less
    records._LEASE_SECONDS, records._RENEW_SECONDS = 3.0, 1.0

clock = Ahead(float(os.environ.get(AHEAD, "0")))


def _storage(where: str | None) -> Storage:
    if where is None:
        return MemoryStorage()
    return RedisStorage(where) if where.startswith("redis:") else SQLiteStorage(where, clock=clock)


def _build() -> Server:
    ledger = os.environ.get(LEDGER)
    return Server(
        [streaming(price=PRICE if ledger else None)],
        auth=StaticTokens(USERS),
        storage=_storage(os.environ.get(STORAGE)),
        credits=SQLiteLedger(ledger) if ledger else MemoryLedger(),
        clock=clock,
    )


app = _build().asgi()
