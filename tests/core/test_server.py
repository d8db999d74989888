"""The composition root: starting, running, being used from outside, and stopping."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, cast

import anyio
import pytest

from lbproto import Context, Event, Plugin, Server, UsageError
from lbproto.backends.memory import MemoryBroker, MemoryPubSub, MemoryStorage
from lbproto.connection.base import Connection
from lbproto.connection.plain import PlainConnection
from lbproto.testing import VirtualClock, settle
from lbproto.wire import CloseCode, Peer
from lbproto.wire.arguments import ObjectArguments
from lbproto.wire.plain import PLAIN_JSON
from tests.core.harness import (
    FORMATS,
    Client,
    MemorySocket,
    MemoryTransport,
    Sent,
    connected,
    make_server,
    running,
)

pytestmark = pytest.mark.anyio


class News(Event):
    number: int


def newsroom(name: str = "news") -> Plugin:
    plugin = Plugin(name)
    plugin.emits(News)

    @plugin.room(name)
    async def news(ctx: Context) -> None: ...

    return plugin


# Connecting


@pytest.mark.parametrize("format_", FORMATS.values(), ids=FORMATS)
async def test_a_client_is_told_who_it_is(format_: Any) -> None:
    async with running() as server:
        socket = MemorySocket(format_)
        await server.sessions.authenticate(socket, ObjectArguments([{"token": "Bearer ada"}]))
        assert socket.take() == []
        await server.sessions.opened(socket)
        told = {
            "userId": "ada",
            "sid": socket.sid,
            "timestamp": "2026-01-20T12:00:00.000Z",
            "pid": socket.pid,
        }
        assert socket.take() == [Sent("connected", told)]


async def test_ping_is_answered_with_the_servers_time() -> None:
    clock = VirtualClock()
    async with running(clock=clock) as server:
        client = await connected(server)
        await clock.advance(1.2345)
        pong = {"timestamp": "2026-01-20T12:00:01.234Z"}
        payloads: list[list[Any]] = [[], [None], [{}], [{"later": 1}]]
        for payload in payloads:
            assert await client.ask("ping", *payload) == [Sent("pong", pong)]


# From anywhere in the host's program


async def test_all_sessions_of_a_user_are_reached_and_nobody_else() -> None:
    async with running(newsroom()) as server:
        one, two, other = [await connected(server, user) for user in ("ada", "ada", "bob")]
        assert server.to_user("ada").emit(News(number=1)).matched == 2
        assert [len(client.take()) for client in (one, two, other)] == [1, 1, 0]
        assert server.to("user:ada", except_=[one.sid]).emit(News(number=2)).matched == 1
        assert [len(client.take()) for client in (one, two, other)] == [0, 1, 0]


# Starting and stopping


class Journal(list[str]):
    """What happened, in order."""

    @asynccontextmanager
    async def scope(self, name: str) -> AsyncIterator[None]:
        self.append(f"{name} in")
        try:
            yield
        finally:
            self.append(f"{name} out")

    def plugin(self, name: str) -> Plugin:
        def lifespan(server: Server) -> AbstractAsyncContextManager[None]:
            return self.scope(name)

        return Plugin(name, lifespan=lifespan)


async def test_plugins_are_entered_in_order_and_left_in_reverse() -> None:
    journal = Journal()

    class Storage(MemoryStorage):
        async def __aenter__(self) -> Storage:
            journal.append("storage in")
            return self

        async def __aexit__(self, *error: object) -> None:
            journal.append("storage out")

    class PubSub(MemoryPubSub):
        async def __aexit__(self, *error: Any) -> None:
            await super().__aexit__(*error)
            journal.append("pubsub out")

    plugins = [journal.plugin(name) for name in "abc"]
    async with running(*plugins, Plugin("d"), storage=Storage(), pubsub=PubSub()):
        assert journal == ["storage in", "a in", "b in", "c in"]
    assert journal[4:] == ["c out", "b out", "a out", "pubsub out", "storage out"]


async def test_a_plugins_lifespan_is_given_the_running_server() -> None:
    emitted = []

    @asynccontextmanager
    async def lifespan(server: Server) -> AsyncIterator[None]:
        server.runtime.check_running()
        client = await connected(server, "ada")
        server.to_user("ada").emit(News(number=1))
        emitted.extend(client.take())
        yield

    plugin = Plugin("eager", lifespan=lifespan)
    plugin.emits(News)
    async with running(plugin):
        assert emitted == [Sent("news", {"number": 1})]


async def test_a_plugin_that_cannot_start_says_why_and_the_others_are_left() -> None:
    journal = Journal()

    def broken(server: Server) -> AbstractAsyncContextManager[None]:
        raise LookupError("no such feed")

    server = make_server(journal.plugin("a"), Plugin("b", lifespan=broken), journal.plugin("c"))
    for _ in range(2):  # and it can be tried again
        with pytest.raises(LookupError, match="no such feed"):
            async with server.lifespan():
                raise AssertionError("it started")
        assert journal == ["a in", "a out"]
        journal.clear()


async def test_a_plugin_that_cannot_stop_says_why_and_the_others_are_left() -> None:
    journal = Journal()

    @asynccontextmanager
    async def broken(server: Server) -> AsyncIterator[None]:
        yield
        raise LookupError("cannot flush")

    server = make_server(journal.plugin("a"), Plugin("b", lifespan=broken), journal.plugin("c"))
    with pytest.raises(LookupError, match="cannot flush"):
        async with server.lifespan():
            pass
    assert journal == ["a in", "c in", "c out", "a out"]


async def test_an_error_of_the_host_comes_out_as_it_is() -> None:
    journal = Journal()
    server = make_server(journal.plugin("a"))
    with pytest.raises(ZeroDivisionError):
        async with server.lifespan():
            raise ZeroDivisionError
    assert journal == ["a in", "a out"]


async def test_a_server_that_does_not_run_says_so_in_one_sentence() -> None:
    server, nobody = make_server(), cast(Connection, None)
    message = (
        r"^this lbproto server is not running\. .*pass lifespan=server\.lifespan to the host app, "
        r"or serve server\.asgi\(fallback=host_app\)$"
    )
    for _ in range(2):
        with pytest.raises(UsageError, match=message):
            server.runtime.check_running()
        with pytest.raises(UsageError, match=message):
            server.runtime.work_for(nobody)
        with pytest.raises(UsageError, match=message):
            server.runtime.write_for(nobody)
        with pytest.raises(UsageError, match=message):
            server.runtime.start_soon(settle)
        assert not server.runtime.accepting
        async with server.lifespan():
            server.runtime.check_running()
            assert server.runtime.accepting


async def test_a_server_is_started_once_and_goes_on_undisturbed() -> None:
    broker = MemoryBroker()
    server = make_server(newsroom(), pubsub=MemoryPubSub(broker))
    async with server.lifespan(), running(newsroom(), pubsub=MemoryPubSub(broker)) as other:
        client = await connected(server)
        await client.ask("subscribe", {"room": "news"})
        for _ in range(2):
            with pytest.raises(UsageError, match="runs already: start it once per process"):
                async with server.lifespan():
                    raise AssertionError("it started twice")
        other.to("news").emit(News(number=1))
        await settle()
        assert client.take() == [Sent("news", {"number": 1})]
        assert server.runtime.accepting


async def test_a_server_may_be_started_again() -> None:
    broker = MemoryBroker()
    journal = Journal()
    server = make_server(newsroom(), journal.plugin("a"), pubsub=MemoryPubSub(broker))
    for run in range(3):
        await use(server, broker)
        assert journal == ["a in", "a out"] * (run + 1)


@pytest.mark.parametrize(
    ("backend", "options"),
    [("asyncio", {}), ("asyncio", {"use_uvloop": True}), ("trio", {})],
    ids=["asyncio", "uvloop", "trio"],
)
def test_a_server_may_be_started_again_in_another_event_loop(
    backend: str, options: dict[str, Any]
) -> None:
    """As tests of a host do that has its app, with the server, at module level."""
    broker = MemoryBroker()
    server = make_server(newsroom(), pubsub=MemoryPubSub(broker))
    for _ in range(3):
        anyio.run(use, server, broker, backend=backend, backend_options=options)


async def use(server: Server, broker: MemoryBroker) -> None:
    async with (
        server.lifespan(),
        running(newsroom(), pubsub=MemoryPubSub(broker)) as other,
    ):
        client = await connected(server)
        await settle()
        await client.ask("subscribe", {"room": "news"})
        other.to("news").emit(News(number=1))
        await settle()
        assert client.take() == [Sent("news", {"number": 1})]
        await client.ask("unsubscribe", {"room": "news"})
        await settle()
        client.close()
        fired: list[int] = []
        server.runtime.timers.call_at(server.clock.monotonic(), lambda: fired.append(1))
        await settle()
        assert fired == [1]


# A graceful stop


async def plain_connection(server: Server, transport: MemoryTransport) -> PlainConnection:
    connection = PlainConnection(
        server.runtime, Peer(), transport, server.sessions, PLAIN_JSON, "ada"
    )
    await connection.work()
    return connection


async def test_stopping_sends_what_is_queued_and_then_closes() -> None:
    server = make_server(newsroom())
    transports = [MemoryTransport() for _ in range(3)]
    async with server.lifespan():
        for transport in transports:
            await plain_connection(server, transport)
        server.to_user("ada").emit(News(number=7))
        assert all(not transport.sent for transport in transports)
    for transport in transports:
        assert isinstance(transport.sent[-1], str)
        assert transport.sent[-1].startswith('{"event":"news","data":{"number":7},"offset":')
        assert transport.closed is not None
        assert transport.closed[0] is CloseCode.SERVICE_RESTART
    assert not server.runtime.connections
    assert server._membership.count("user:ada") == 0


async def test_a_host_may_close_the_connections_before_it_stops_the_server() -> None:
    server = make_server(newsroom())
    transport = MemoryTransport()
    async with server.lifespan():
        await plain_connection(server, transport)
        await server.close()
        assert transport.closed is not None
        assert transport.closed[0] is CloseCode.SERVICE_RESTART
        assert not server.runtime.accepting
        assert not server.runtime.connections
        server.runtime.check_running()
        await server.close()


async def test_whoever_does_not_read_is_not_waited_for() -> None:
    clock = VirtualClock()
    server = make_server(newsroom(), clock=clock)
    stopped = anyio.Event()
    transport = MemoryTransport()

    async def serve() -> None:
        async with server.lifespan():
            await plain_connection(server, transport)
            transport.open = anyio.Event()
            server.to_user("ada").emit(News(number=7))
        stopped.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await clock.advance(1.9)
        assert not stopped.is_set()
        await clock.advance(0.2)
        assert stopped.is_set()
    assert not server.runtime.connections
    assert server._membership.count("user:ada") == 0


async def test_a_server_that_is_cancelled_stops_at_once() -> None:
    server = make_server(newsroom())
    transport = MemoryTransport()
    with anyio.fail_after(60):
        with anyio.CancelScope() as scope:
            async with server.lifespan():
                await plain_connection(server, transport)
                await settle()
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught
    assert not server.runtime.connections
    assert server._membership.count("user:ada") == 0


async def test_nobody_is_heard_after_the_stop() -> None:
    async with running(newsroom()) as server:
        client = await connected(server)
        await client.ask("subscribe", {"room": "news"})
    assert isinstance(client, Client)
    client.close()
    assert server.room_statistics("news").sessions == 0
