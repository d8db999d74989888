"""Events from a process that serves nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from lbproto import Context, Emitter, Event, LimitExceeded, Overloaded, Plugin, UsageError
from lbproto.backends.memory import MemoryBroker, MemoryPubSub
from lbproto.testing import settle
from tests.core.harness import Client, Sent, connected, running

pytestmark = pytest.mark.anyio


class News(Event):
    number: int
    amount_usd: float = 0.0


class Rumour(Event):
    pass


def newsroom() -> Plugin:
    plugin = Plugin("news")
    plugin.emits(News)

    @plugin.room("news")
    async def news(ctx: Context) -> None: ...

    return plugin


@asynccontextmanager
async def readers(broker: MemoryBroker) -> AsyncIterator[list[Client]]:
    """A client of each of two nodes."""
    async with AsyncExitStack() as stack:
        clients = []
        for user in ("ada", "bob"):
            pubsub = MemoryPubSub(broker)
            server = await stack.enter_async_context(running(newsroom(), pubsub=pubsub))
            client = await connected(server, user)
            await client.ask("subscribe", {"room": "news"})
            clients.append(client)
        await settle()
        for client in clients:
            client.take()
        yield clients


async def test_the_clients_of_every_node_get_what_is_emitted() -> None:
    broker = MemoryBroker()
    async with readers(broker) as clients, Emitter(MemoryPubSub(broker)) as emitter:
        for number in range(3):
            emitter.to("news").emit(News(number=number, amount_usd=0.5))
        emitter.to("empty").emit(News(number=4))
        await settle()
        for client in clients:
            assert client.take() == [
                Sent("news", {"number": number, "amountUSD": 0.5}) for number in range(3)
            ]


async def test_what_is_emitted_is_an_event() -> None:
    not_one: Any
    async with Emitter(MemoryPubSub(MemoryBroker())) as emitter:
        for not_one, shown in ((News, "the class News"), ({"number": 1}, "a value of type dict")):
            with pytest.raises(UsageError, match=rf"^emit takes an event, .*, not {shown}$"):
                emitter.to("news").emit(not_one)


async def test_users_and_all_but_some() -> None:
    broker = MemoryBroker()
    async with readers(broker) as (ada, bob), Emitter(MemoryPubSub(broker)) as emitter:
        emitter.to_user("bob").emit(News(number=1))
        emitter.to("news", except_=[bob.sid]).emit(News(number=2))
        emitter.to("news", except_=bob.sid).emit(News(number=3))
        await settle()
        assert ada.take() == [Sent("news", {"number": 2}), Sent("news", {"number": 3})]
        assert bob.take() == [Sent("news", {"number": 1})]


async def test_what_the_nodes_do_not_know_they_log(caplog: pytest.LogCaptureFixture) -> None:
    broker = MemoryBroker()
    async with readers(broker) as clients, Emitter(MemoryPubSub(broker)) as emitter:
        emitter.to("news").emit(Rumour())
        await settle()
        assert [client.take() for client in clients] == [[], []]
    assert caplog.text.count("another node sent 'rumour', which no plugin here declares") == 2


async def test_what_cannot_be_sent_is_refused() -> None:
    class Full(MemoryPubSub):
        def publish_nowait(self, channel: str, payload: bytes, *, kept: bool = False) -> None:
            raise refusal

    broker = MemoryBroker()
    async with readers(broker) as clients, Emitter(Full(broker)) as emitter:
        for refusal in (Overloaded("full"), LimitExceeded("too large")):
            with pytest.raises(type(refusal)):
                emitter.to("news").emit(News(number=1))
        assert [client.take() for client in clients] == [[], []]
