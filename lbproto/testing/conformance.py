"""The suites for backends, for those that `pytest --lbproto-backend` names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from lbproto.limits.windows import SECOND
from lbproto.testing.backends import Backend, Trial
from lbproto.testing.clock import VirtualClock
from lbproto.testing.ledger import LedgerSuite, MakeLedger
from lbproto.testing.limits import LimitsSuite, MakeLimits
from lbproto.testing.limits import PassTime as PassNanoseconds
from lbproto.testing.plugin import Named
from lbproto.testing.pubsub import MakePubSub, PubSubSuite
from lbproto.testing.storage import MakeStorage, PassTime, StorageSuite

__all__ = ["TestLedger", "TestLimits", "TestPubSub", "TestStorage"]


@pytest.fixture
def backend(
    request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock
) -> Iterator[Backend]:
    """The backend under test, made for this test."""
    named: Named = request.param
    made = named.make(Trial(f"t-{uuid4().hex}", named.url, tmp_path, clock))
    if not isinstance(made, Backend):
        pytest.fail(f"{named.name} makes no lbproto.testing.backends.Backend, but {made!r}")
    yield made
    made.close()


def _offered(backend: Backend, port: str) -> Any:
    if getattr(type(backend), port) is getattr(Backend, port):
        pytest.skip("not offered")
    return getattr(backend, port)


class TestStorage(StorageSuite):
    """Of a storage."""

    @pytest.fixture
    def make_storage(self, backend: Backend) -> MakeStorage:
        made: MakeStorage = _offered(backend, "storage")
        return made

    @pytest.fixture
    def pass_time(self, backend: Backend) -> PassTime:
        return backend.pass_time


class TestPubSub(PubSubSuite):
    """Of a pub/sub."""

    @pytest.fixture
    def make_pubsub(self, backend: Backend) -> MakePubSub:
        made: MakePubSub = _offered(backend, "pubsub")
        return made


class TestLimits(LimitsSuite):
    """Of a store of limits."""

    sequences = 20

    @pytest.fixture
    def make_limits(self, backend: Backend) -> MakeLimits:
        made: MakeLimits = _offered(backend, "limits")
        type(self).resolution = backend.resolution
        return made

    @pytest.fixture
    def pass_time(self, backend: Backend) -> PassNanoseconds:
        async def pass_time(nanoseconds: int) -> None:
            await backend.pass_time(nanoseconds / SECOND)

        return pass_time


class TestLedger(LedgerSuite):
    """Of a store of credits."""

    interleavings = 5

    @pytest.fixture
    def make_ledger(self, backend: Backend) -> MakeLedger:
        made: MakeLedger = _offered(backend, "ledger")
        return made
