"""What a load balancer asks of a server."""

from __future__ import annotations

import pytest

from lbproto.backends.memory import MemoryPubSub
from tests.core.harness import make_server

pytestmark = pytest.mark.anyio


class Deaf(MemoryPubSub):
    hears = False

    @property
    def ready(self) -> bool:
        return self.hears


async def test_it_is_ready_while_it_takes_connections_and_hears_the_others() -> None:
    pubsub = Deaf()
    server = make_server(pubsub=pubsub)
    told = [server.ready]
    async with server.lifespan():
        told.append(server.ready)
        pubsub.hears = True
        told.append(server.ready)
        await server.drain(0)
        told.append(server.ready)
    assert [*told, server.ready] == [False, False, True, False, False]


async def test_a_node_alone_is_ready_and_says_how_it_is() -> None:
    server = make_server()
    async with server.lifespan():
        assert server.ready
        assert server.statistics().pubsub.missed == 0
