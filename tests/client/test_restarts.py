"""A server that is killed and started again, amid what clients on every event loop do with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Barrier
from typing import Any

import anyio
import anyio.to_thread
import pytest

from lbproto import Disconnected, RequestError
from lbproto.client import Wire
from lbproto.messages import Connected, SessionLost, Subscribed
from tests.client.app import STORAGE
from tests.client.kit import Dig, DigCompleted, DigStarted, Double, Doubled, Said, Say, connected
from tests.serving import free_port, serving

APP = "tests.client.app:app"
FACTORY = ("--factory",)
ENDLESS = Dig(depth=10**9)

LOOPS: list[tuple[str, dict[str, Any], Wire]] = [
    ("asyncio", {}, "plain-json"),
    ("asyncio", {"use_uvloop": True}, "socketio-json"),
    ("trio", {}, "plain-msgpack"),
]


@asynccontextmanager
async def limited() -> AsyncIterator[None]:
    """What hangs fails."""
    with anyio.fail_after(60):
        yield


async def through(url: str, wire: Wire, met: Callable[[], None]) -> list[str]:
    """What a client is told that loses its server amid a job and a subscription.

    Args:
        met: waits until everybody has come so far; the server is killed then.
    """
    room = f"talk:{wire}"
    told = []
    async with limited(), connected(url, wire, wire=wire) as client:
        said = client.listen(Connected, SessionLost, Subscribed, Said)
        await client.subscribe(room)
        async with client.job(ENDLESS) as job:
            assert isinstance(await anext(job), DigStarted)
            await anext(job)
            await anyio.to_thread.run_sync(met)
            try:
                while True:
                    await anext(job)
            except (Disconnected, RequestError) as error:
                told.append(str(error))
        told += [type(await anext(said)).__name__ for _ in range(6)]
        await client.request(Say(room=room, text="after"))
        assert await anext(said) == Said(room, "after")
        assert (await client.request(Double(number=3), Doubled)).number == 6
        async with client.job(Dig()) as again:
            assert isinstance(await again.result(), DigCompleted)
    return told


def test_nothing_is_missing_that_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(STORAGE, str(tmp_path / "storage.db"))
    port, barrier = free_port(), Barrier(len(LOOPS) + 1)

    def met() -> None:
        barrier.wait(60)

    def run(loop: tuple[str, dict[str, Any], Wire]) -> list[str]:
        backend, options, wire = loop
        url = f"ws://127.0.0.1:{port}"
        return anyio.run(through, url, wire, met, backend=backend, backend_options=options)

    with ThreadPoolExecutor(len(LOOPS)) as pool:
        with serving(APP, port=port, options=FACTORY) as server:
            results = [pool.submit(run, loop) for loop in LOOPS]
            met()
            server.kill()
        with serving(APP, port=port, options=FACTORY):
            for result in results:
                job, *events = result.result(60)
                assert "the job was lost with its session" in job
                first, then = ["Subscribed", "Said"], ["Connected", "SessionLost"]
                assert events == [*first, *then, *first]
