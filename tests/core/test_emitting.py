"""Events from outside of requests: from the host's own code, where the server runs."""

from __future__ import annotations

import pytest
from anyio import from_thread, to_thread

from lbproto import Context, Event, Plugin, UsageError
from lbproto.backends.memory import MemoryBroker, MemoryPubSub
from lbproto.testing import Serve, connect, settle
from tests.core.harness import make_server, running

pytestmark = pytest.mark.anyio


class News(Event):
    number: int


def newsroom() -> Plugin:
    plugin = Plugin("news")
    plugin.emits(News)

    @plugin.room("news", announce=False, automatic=True)
    async def news(ctx: Context) -> None: ...

    return plugin


async def test_nothing_is_emitted_by_a_server_that_does_not_run() -> None:
    server = make_server(newsroom())
    targets = [server.to("news"), server.to_user("ada")]
    for _ in range(2):
        for target in targets:
            with pytest.raises(UsageError, match=r"^this lbproto server is not running\. .*pass"):
                target.emit(News(1))
        async with server.lifespan():
            assert [target.emit(News(2)).matched for target in targets] == [0, 0]


async def test_nothing_is_emitted_in_another_thread(serve: Serve) -> None:
    async with serve(newsroom()) as server, connect(server, "ada") as client:
        await client.take()
        emit = server.to("news").emit
        with pytest.raises(
            UsageError, match=r"anyio\.from_thread\.run_sync\(target\.emit, event\)"
        ):
            await to_thread.run_sync(emit, News(1))
        assert await client.take() == []
        receipt = await to_thread.run_sync(from_thread.run_sync, emit, News(2))
        assert receipt.queued == 1
        assert await client.take() == [News(2)]


# Rooms that nobody declared


async def test_a_room_that_nobody_declared_is_a_mistake(serve: Serve) -> None:
    plugin, refused = newsroom(), []

    class Tell(Event):
        room: str

    @plugin.on(Tell)
    async def tell(ctx: Context, request: Tell) -> None:
        with pytest.raises(UsageError) as mistake:
            ctx.to(request.room).emit(News(1))
        refused.append(str(mistake.value))

    async with serve(plugin) as server, connect(server, "ada") as client:
        await client.request(Tell(room="nwes"))
        await client.request(Tell(room=""))
        rooms = "declared here: user:{user_id*}, news"
        assert refused == [
            f"there is no room 'nwes' to emit to: nobody can ever be in it; {rooms}",
            f"there is no room '' to emit to: nobody can ever be in it; {rooms}",
        ]
        with pytest.raises(UsageError, match="there is no room 'nwes'"):
            server.to("nwes").emit(News(1))
        assert server.to_user("nobody:at all").emit(News(1)).matched == 0


async def test_it_is_none_where_the_server_is_not_strict() -> None:
    async with running(newsroom(), strict=False) as server:
        assert server.to("nwes").emit(News(1)).matched == 0


async def test_it_is_sent_to_nodes_that_may_have_such_a_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker, older = MemoryBroker(), Plugin("news")
    older.emits(News)
    async with (
        running(older, pubsub=MemoryPubSub(broker)) as here,
        running(newsroom(), pubsub=MemoryPubSub(broker)) as there,
        connect(there, "ada") as client,
    ):
        await client.take()
        for number in range(2):
            here.to("news").emit(News(number))
        await settle()
        assert await client.take() == [News(0), News(1)]
    assert [record.getMessage() for record in caplog.records] == [
        "no plugin of this node declared the room 'news': what is emitted to it goes to other nodes"
    ]
