"""The clock port's own implementation: the machine's clock."""

from __future__ import annotations

import time

import pytest

from lbproto import SystemClock

pytestmark = pytest.mark.anyio


async def test_the_machines_clock_waits_and_never_steps_back() -> None:
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0.01)
    await clock.sleep(-5)
    # uvloop counts in whole milliseconds, from the start of its turn.
    assert clock.monotonic() - before >= 0.005
    assert abs(clock.now() - time.time()) < 60
