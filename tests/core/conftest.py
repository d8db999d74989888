"""What tests of sessions are given."""

from __future__ import annotations

import pytest

from lbproto.testing import VirtualClock
from tests.core.sessions import Rooms


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(params=["lives", "stopped", "dead"])
def fate(request: pytest.FixtureRequest) -> str:
    """What becomes of the node that a client was on."""
    found: str = request.param
    return found
