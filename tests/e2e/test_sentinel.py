"""Two servers behind a Sentinel, whose Redis is lost for good while events flow."""

from __future__ import annotations

import anyio
import pytest
from anyio import to_thread

from tests.backends.redis_kinds import replica, sentinel
from tests.e2e.nodes import BROKER
from tests.e2e.pairs import serving_two
from tests.e2e.ticking import readers
from tests.ledger.servers import Valkey

pytestmark = pytest.mark.anyio

COUNT = 400  # ticks of each publisher


async def test_a_replica_that_is_promoted_under_traffic_is_followed(valkey: Valkey) -> None:
    heir = await to_thread.run_sync(replica, valkey)
    try:
        with (
            sentinel(valkey, "mymaster") as url,
            serving_two("tests.e2e.nodes:app", BROKER, url) as nodes,
        ):
            async with readers(nodes) as both, anyio.create_task_group() as tasks:
                for number, reader in enumerate(both):
                    request = {"publisher": str(number), "count": COUNT, "seconds": 0.01}
                    tasks.start_soon(reader.ask, "publish", request)
                for number, reader in enumerate(both):
                    await reader.until_heard(str(1 - number), 30)
                await to_thread.run_sync(valkey.kill)
                for reader in both:
                    await reader.until_ready(ready=False)
                for reader in both:
                    await reader.until_ready(ready=True)
                for reader in both:
                    for publisher in ("0", "1"):
                        await reader.until_heard(publisher, COUNT - 1)
                        assert reader.heard[publisher] == list(range(COUNT))
                    assert (await reader.statistics())["missed"] == 0
        assert heir.command("INFO", "replication")["role"] == "master"
    finally:
        await to_thread.run_sync(heir.stop)
