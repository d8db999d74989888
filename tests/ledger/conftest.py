"""Servers: one of each for all tests, started when the first one asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ledger.servers import Postgres, Valkey


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    server = Valkey()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    yield server
    server.stop()
