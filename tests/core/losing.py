"""Jobs that end with their node, and what is told of that."""

from __future__ import annotations

from typing import Any

import anyio

from lbproto import Job
from lbproto.testing import settle
from tests.core.harness import Client, Sent, connected
from tests.core.recording import Nodes
from tests.core.working import Dig, Site, dug, names

__all__ = ["LEASE", "RENEWED", "TOLD", "died", "for_ever", "loss", "nothing", "told"]

LEASE = 15.0
RENEWED = 5.0
TOLD = 120.0


async def for_ever(job: Job[Dig]) -> None:
    await anyio.sleep_forever()


async def nothing(job: Job[Dig]) -> None:
    """Dig for nothing."""


async def died(nodes: Nodes, request: Any = None, user: str = "ada") -> str:
    """Have a node die that has a job; its id."""
    site = Site(for_ever)
    async with nodes.running(site, dies=True) as (server, _):
        assert "dig_started" in names(await dug(await connected(server, user), request))
    return site.jobs[0].id


async def told(client: Client) -> list[Sent]:
    await settle()
    return client.take()


def loss(id_: str) -> list[Sent]:
    """What tells of a lost job."""
    error = {
        "jobId": id_,
        "code": "OVERLOADED",
        "message": "The server was restarted: ask again",
        "retryAfter": 1,
    }
    return [Sent("dig_closing", {"jobId": id_}), Sent("dig_error", error)]
