"""Two servers whose broker hangs for a while, or forgets: what is kept, refused and lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import psutil
import pytest
from anyio import to_thread

from tests.e2e.clients import SECONDS
from tests.e2e.nodes import BROKER, BUFFER, MAX_PAYLOAD
from tests.e2e.pairs import Pair, serving_two
from tests.e2e.ticking import Reader, readers
from tests.ledger.servers import Valkey, suspended

pytestmark = pytest.mark.anyio

LOG = "lbproto:{0}:log"  # see `lbproto.backends.redis_log`
BOUND = 100  # messages that wait for the broker at most
OTHERS = 5  # of these, what nodes say to each other meanwhile, at most


@pytest.fixture(scope="module")
def nodes(valkey: Valkey) -> Iterator[Pair]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv(BUFFER, str(BOUND))
        with serving_two("tests.e2e.nodes:app", BROKER, valkey.url) as both:
            yield both


async def refusal(reader: Reader, publisher: str, count: int, padding: int = 0) -> dict[str, Any]:
    """The error by which a request is answered that publishes more than may be."""
    request = {"publisher": publisher, "count": count, "seconds": 0, "padding": padding}
    answer: dict[str, Any] = await reader.client.call("publish", request, timeout=SECONDS)
    assert not answer["ok"]
    error: dict[str, Any] = answer["error"]
    return error


async def test_what_fits_is_kept_and_whoever_publishes_more_is_told(
    nodes: Pair, valkey: Valkey
) -> None:
    async with readers(nodes) as (one, two):
        for reader in (one, two):
            await reader.until_ready(ready=True)
        with valkey.suspended():
            for reader in (one, two):
                await reader.until_ready(ready=False)
            fits = {"publisher": "fits", "count": BOUND // 2, "seconds": 0}
            await one.ask("publish", fits)
            error = await refusal(one, "more", BOUND)
            assert (error["code"], error["retryAfter"]) == ("OVERLOADED", 1)
            kept = one.heard["more"]  # by clients of the same node: nobody else is told more
            assert BOUND // 2 - OTHERS <= len(kept) <= BOUND // 2
            assert (await one.statistics())["refused"] >= 1
        for reader in (one, two):
            await reader.until_ready(ready=True)
        await two.until_heard("more", kept[-1])
        await one.ask("publish", {"publisher": "later", "count": 1})
        await two.until_heard("later", 0)
        assert two.heard["fits"] == list(range(BOUND // 2))
        assert two.heard["more"] == kept == list(range(len(kept)))
        assert (await two.statistics())["missed"] == 0
        assert (await one.statistics())["queued"] == 0


async def test_whose_node_was_away_when_the_broker_lost_its_log_is_told(
    nodes: Pair, valkey: Valkey
) -> None:
    async with readers(nodes) as (one, two):
        for reader in (one, two):
            await reader.until_ready(ready=True)
        with suspended([psutil.Process(nodes[0].pid)]):
            for kind in ("pubsub", "normal"):  # the other node comes back at once
                valkey.command("CLIENT", "KILL", "TYPE", kind)
            for number in range(2):  # once the second is in the log, the first was answered
                await two.ask("publish", {"publisher": f"lost-{number}", "count": 1})
                await until_logged(valkey, number + 1)
            await to_thread.run_sync(valkey.kill)
            await to_thread.run_sync(valkey.start)  # with nothing
        with anyio.fail_after(SECONDS):
            await one.lost.wait()
        assert "lost-0" not in one.heard
        assert not two.lost.is_set()
        await two.ask("publish", {"publisher": "later", "count": 1})
        await one.until_heard("later", 0)  # on the session that it has, in the room that it is in


async def until_logged(valkey: Valkey, number: int) -> None:
    """Wait until the log has the first tick of so many publishers."""
    with anyio.fail_after(SECONDS):
        while True:
            if str(valkey.command("XRANGE", LOG, "-", "+")).count("lost-") == number:
                return
            await anyio.sleep(0.01)  # a log tells nobody that it has grown


async def test_what_is_too_large_to_be_sent_nobody_gets(nodes: Pair) -> None:
    async with readers(nodes) as (one, two):
        error = await refusal(one, "large", 1, padding=MAX_PAYLOAD)
        assert error["code"] == "LIMIT_EXCEEDED"
        assert str(MAX_PAYLOAD) in error["message"]
        whole = {"publisher": "whole", "count": 1, "padding": MAX_PAYLOAD - 100}
        await one.ask("publish", whole)
        for reader in (one, two):
            await reader.until_heard("whole", 0)
            assert "large" not in reader.heard
