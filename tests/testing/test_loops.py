"""The event loops of `lbproto.testing.fixtures`: what asyncio's debug mode checks is checked."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from anyio import to_thread

pytestmark = pytest.mark.anyio


async def test_whoever_schedules_from_another_thread_is_told(
    anyio_backend: tuple[str, dict[str, Any]],
) -> None:
    if anyio_backend[1].get("debug"):  # only asyncio's own loop looks
        loop = asyncio.get_running_loop()
        with pytest.raises(RuntimeError, match="Non-thread-safe operation"):
            await to_thread.run_sync(loop.call_soon, print)
