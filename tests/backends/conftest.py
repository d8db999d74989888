"""Servers: one of each for all tests, started when the first one asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ledger.servers import Valkey


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    server = Valkey(appendonly="no")
    yield server
    server.stop()
