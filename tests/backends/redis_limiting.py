"""What tests of limits counted on Valkey share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio
from anyio.lowlevel import checkpoint

from lbproto import Tier, Window
from lbproto.backends.redis_limits import RedisLimits
from lbproto.testing.limits import asked

PATIENCE = 60.0  # seconds: the machine may be busy
FEW = asked(Tier(Window(6, 15), Window(100, 3_600)))  # three at once, then one every five seconds

Make = Callable[..., RedisLimits]


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(PATIENCE):
        while not condition():
            await checkpoint()


async def taken(
    limits: RedisLimits, name: str = "ann", windows: Sequence[tuple[int, int, int]] = FEW
) -> bool:
    return (await limits.take(name, windows, 1))[0]


async def at_once(limits: RedisLimits, name: str = "ann") -> int:
    """How many are let through."""
    for number in range(100):
        if not await taken(limits, name):
            return number
    return 100
