"""Servers: one of each for all tests, started when the first one asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count

import pytest

from lbproto.backends import brokered
from lbproto.backends.redis_limits import RedisLimits
from tests.backends.redis_limiting import PATIENCE, Make
from tests.backends.stopped import StoppedClock
from tests.ledger.servers import Valkey


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    server = Valkey(appendonly="no")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def durable() -> Iterator[Valkey]:
    """Comes back with all that it has answered, passed on or not."""
    server = Valkey()
    yield server
    server.stop()


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two nodes find their way back sooner than hundreds."""
    monkeypatch.setattr(brokered, "_LAST_DELAY", 0.1)
    monkeypatch.setattr(brokered, "_HOLD_SECONDS", 0.5)
    monkeypatch.setattr(brokered, "_HOLD_AFTER_SILENCE", 2.0)


_numbers = count()


@pytest.fixture
def prefix() -> str:
    return f"test-{next(_numbers)}"


@pytest.fixture
def make(valkey: Valkey, prefix: str) -> Make:
    return partial(RedisLimits, valkey.url, prefix=prefix, timeout=PATIENCE)


@pytest.fixture
def stopped(valkey: Valkey, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoppedClock]:
    clock = StoppedClock(valkey.url, prefix, monkeypatch)
    yield clock
    clock.close()
