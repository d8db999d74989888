"""Events from outside of requests: from the host's own code, where the server runs."""

from __future__ import annotations

import pytest
from anyio import from_thread, to_thread

from lbproto import Context, ErrorCode, Event, Identity, NotFound, Plugin, Receipt, UsageError
from lbproto.backends.memory import MemoryBroker, MemoryPubSub
from lbproto.messages import Error, Subscribe
from lbproto.registry import RESERVED
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


async def test_no_client_is_asked_in_another_thread_nor_when_the_server_is_over(
    serve: Serve,
) -> None:
    async with serve(newsroom()) as server, connect(server, "ada"):
        (session,) = server.sessions.directory.of("ada")

        def ask() -> None:
            server.emit_with_ack(session, News(1), dict).send(None)

        with pytest.raises(UsageError, match="runs in another thread"):
            await to_thread.run_sync(ask)
    with pytest.raises(UsageError, match="is not running"):
        await server.emit_with_ack(session, News(1), dict)


async def test_a_plugin_may_emit_until_all_are_out(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    """Who waits for a client that is away leaves when the server stops."""
    plugin, told = newsroom(), []

    def occupied(occupied: bool) -> None:
        told.append((occupied, server.to("news").emit(News(1)).matched))

    @plugin.room("desk", occupancy=occupied)
    async def desk(ctx: Context) -> None: ...

    async with serve(plugin) as server, connect(server, "ada") as client:
        await client.request(Subscribe(room="desk"))
        client.drop()
    assert told == [(True, 1), (False, 0)]
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_one_session_is_told(serve: Serve) -> None:
    async with (
        serve(newsroom()) as server,
        connect(server, "ada") as one,
        connect(server, "ada") as other,
    ):
        session = server.sessions.directory.of("ada")[0]
        target = server.to_session(session)
        await one.take()
        await other.take()
        assert target.emit(News(1)) == Receipt(1, 1, 0, 0)
        assert (await one.take(), await other.take()) == ([News(1)], [])
        with pytest.raises(UsageError, match="another thread"):
            await to_thread.run_sync(target.emit, News(2))
        one.drop()
        await settle()
        assert target.emit(News(3)).away == 1
        await one.reconnect()
        assert News(3) in await one.take()
        await server.disconnect_session(session.sid)
        assert target.emit(News(4)).dropped == 1
    with pytest.raises(UsageError, match="is not running"):
        target.emit(News(5))


async def test_a_handler_tells_a_user_and_knows_who_asks(serve: Serve) -> None:
    plugin, asked = newsroom(), []

    class Tell(Event):
        user_id: str

    @plugin.on(Tell)
    async def tell(ctx: Context, request: Tell) -> None:
        asked.append(ctx.identity)
        ctx.to_user(request.user_id).emit(News(1))
        ctx.to_user(ctx.user_id, except_=ctx.session.sid).emit(News(2))

    async with (
        serve(plugin) as server,
        connect(server, "ada") as one,
        connect(server, "ada") as other,
        connect(server, "google:12") as bob,
    ):
        for client in (one, other, bob):
            await client.take()
        await one.request(Tell("google:12"))
        assert asked == [Identity("ada")]
        assert (await one.take(), await other.take(), await bob.take()) == (
            [],
            [News(2)],
            [News(1)],
        )
        server.to_user("ada", except_=server.sessions.directory.of("ada")[0].sid).emit(News(3))
        assert (await one.take(), await other.take()) == ([], [News(3)])


# Rooms that nobody declared


async def test_a_room_that_nobody_declared_is_refused(serve: Serve) -> None:
    """Its name may be the client's, who cannot bring about an incident by that."""
    plugin, rooms = newsroom(), "Rooms here: user:{user_id*}, news"

    class Tell(Event):
        room: str

    @plugin.on(Tell)
    async def tell(ctx: Context, request: Tell) -> None:
        ctx.to(request.room).emit(News(1))

    async with serve(plugin) as server, connect(server, "ada") as client:
        for room in ("nwes", "", "lbproto:nodes"):
            refused = await client.request(Tell(room), Error)
            assert refused.code is ErrorCode.NOT_FOUND
            assert refused.message == f"There is no room of that name. {rooms}"
        with pytest.raises(NotFound, match="There is no room of that name"):
            server.to("nwes").emit(News(1))
        assert server.to_user("nobody:at all").emit(News(1)).matched == 0


async def test_it_is_none_where_the_server_is_not_strict() -> None:
    async with running(newsroom(), strict=False) as server:
        assert server.to("nwes").emit(News(1)).matched == 0


@pytest.mark.parametrize("strict", [True, False])
async def test_it_is_none_of_the_channels_that_nodes_have_among_themselves(strict: bool) -> None:
    broker = MemoryBroker()
    async with (
        running(newsroom(), pubsub=MemoryPubSub(broker), strict=strict) as here,
        running(newsroom(), pubsub=MemoryPubSub(broker)),
    ):
        with pytest.raises(NotFound):
            here.to(f"{RESERVED}nodes").emit(News(1))


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
        for number in range(200):
            here.to(f"news:{number}").emit(News(2))
    records, name = caplog.records, "lbproto.delivery.hub"
    told = [record.getMessage() for record in records if record.name == name]
    assert told[0] == (
        "no plugin of this node declared the room 'news': what is emitted to it goes to other nodes"
    )
    assert len(told) == 100  # once for each, and not for ever
