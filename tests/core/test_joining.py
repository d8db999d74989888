"""A joiner sees the room's first message and then exactly what is newer: no gap, no overlap."""

from __future__ import annotations

import anyio
import pytest
from anyio.abc import TaskGroup
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lbproto import Context, Event, Overloaded, Plugin, Receipt, Server, Unauthorized
from lbproto.messages import Recovered, Subscribe, Subscribed
from lbproto.testing import Serve, connect, settle
from lbproto.wire import Inbound
from lbproto.wire.arguments import JSONArguments
from tests.core.harness import Client, Sent, connected, make_server

pytestmark = pytest.mark.anyio


class Snapshot(Event):
    state: int


class Tick(Event):
    state: int


class Refused(Exception):
    """What a gate is opened with to have the join refused."""


class Feed:
    """A room `feed` whose state is a number, and whose join function waits for the test.

    Attributes:
        state: the last number published.
        mark: whether the join function marks its snapshot and waits again behind it.
    """

    def __init__(self) -> None:
        self.state = 0
        self.mark = False
        self.refusal: Exception | None = None
        self._gates: dict[str, anyio.Event] = {}
        self.server: Server

    def plugin(self) -> Plugin:
        plugin = Plugin("feed")
        plugin.emits(Tick)

        @plugin.room("feed", announce=False)
        async def join(ctx: Context) -> Snapshot:
            mark = self.mark
            await self._gate(ctx)
            snapshot = Snapshot(state=self.state)
            if mark:
                ctx.mark_snapshot()
                await self._gate(ctx)
                ctx.mark_snapshot()  # only the first call counts
            return snapshot

        return plugin

    async def _gate(self, ctx: Context) -> None:
        self._gates[ctx.session.sid] = gate = anyio.Event()
        await gate.wait()
        if self.refusal is not None:
            raise self.refusal

    def waits(self, client: Client) -> bool:
        """Whether the client's join function is waiting."""
        return client.sid in self._gates

    async def proceed(self, client: Client, refusal: Exception | None = None) -> None:
        """Let the client's join function go on, or refuse."""
        self.refusal = refusal
        self._gates.pop(client.sid).set()
        await settle()
        self.refusal = None

    def publish(self) -> Receipt:
        self.state += 1
        return self.server.to("feed").emit(Tick(state=self.state))


class Viewer:
    """What a client has pieced together, checked with every event."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.view: int | None = None
        self.refusals = 0

    def look(self) -> None:
        for name, data, _ in self.client.take():
            match name:
                case "snapshot":
                    assert self.view is None or data["state"] >= self.view
                    self.view = data["state"]
                case "tick":
                    assert self.view is not None, "an event before the first message"
                    assert data["state"] == self.view + 1, "a gap or an overlap"
                    self.view = data["state"]
                case "unsubscribed":
                    self.view = None
                case "error":
                    self.refusals += 1
                case other:
                    assert other == "subscribed"


steps = st.lists(
    st.tuples(
        st.sampled_from(["publish", "join", "join marked", "proceed", "refuse", "leave", "close"]),
        st.integers(0, 2),
    ),
    max_size=25,
)


@settings(max_examples=60)
@given(steps)
@example([("join", 0), ("proceed", 0), ("join", 0), ("publish", 0), ("refuse", 0)])
@example([("join marked", 0), ("proceed", 0), ("publish", 0), ("refuse", 0), ("join", 0)])
async def test_any_number_of_joiners_at_any_moment(steps: list[tuple[str, int]]) -> None:
    feed = Feed()
    feed.server = make_server(feed.plugin())
    async with feed.server.lifespan(), anyio.create_task_group() as tasks:
        viewers = [Viewer(await connected(feed.server)) for _ in range(3)]
        gone: set[int] = set()
        for step, which in steps:
            if step == "publish":
                feed.publish()
            elif which not in gone:
                await act(step, feed, viewers[which], tasks)
                if step == "close":
                    gone.add(which)
            elif feed.waits(viewers[which].client):
                await act(step, feed, viewers[which], tasks)
            for each, viewer in enumerate(viewers):
                if each in gone:
                    assert viewer.client.take() == []
                viewer.look()
        for which, viewer in enumerate(viewers):
            while feed.waits(viewer.client):
                await feed.proceed(viewer.client)
            viewer.look()
            if which not in gone:
                assert viewer.view in (None, feed.state)
        tasks.cancel_scope.cancel()


async def act(step: str, feed: Feed, viewer: Viewer, tasks: TaskGroup) -> None:
    client = viewer.client
    waits = feed.waits(client)
    if step == "close":
        client.close()
    elif step == "proceed" and waits:
        await feed.proceed(client)
    elif step == "refuse" and waits:
        await feed.proceed(client, Overloaded("not now"))
    elif step == "leave" and not waits:  # one socket's requests never overlap
        await client.send("unsubscribe", {"room": "feed"})
    elif step.startswith("join") and not waits:
        feed.mark = step == "join marked"
        tasks.start_soon(client.send, "subscribe", {"room": "feed"})
        await settle()


# The cases, one by one


@pytest.fixture
def feed() -> Feed:
    feed = Feed()
    feed.server = make_server(feed.plugin())
    return feed


async def test_without_a_mark_the_snapshot_is_of_when_the_function_returns(feed: Feed) -> None:
    async with feed.server.lifespan(), anyio.create_task_group() as tasks:
        client = await connected(feed.server)
        feed.publish()
        tasks.start_soon(client.send, "subscribe", {"room": "feed"})
        await settle()
        feed.publish()
        await feed.proceed(client)
        feed.publish()
        assert client.take() == [
            Sent("subscribed", {"room": "feed", "subscriberCount": 1}),
            Sent("snapshot", {"state": 2}),
            Sent("tick", {"state": 3}),
        ]


async def test_what_is_published_behind_the_mark_comes_after_the_snapshot(feed: Feed) -> None:
    feed.mark = True
    async with feed.server.lifespan(), anyio.create_task_group() as tasks:
        client = await connected(feed.server)
        tasks.start_soon(client.send, "subscribe", {"room": "feed"})
        await settle()
        feed.publish()
        await feed.proceed(client)
        feed.publish()
        feed.publish()
        assert client.take() == []
        await feed.proceed(client)
        assert client.take() == [
            Sent("subscribed", {"room": "feed", "subscriberCount": 1}),
            Sent("snapshot", {"state": 1}),
            Sent("tick", {"state": 2}),
            Sent("tick", {"state": 3}),
        ]


async def test_a_member_whose_second_join_is_refused_misses_nothing(feed: Feed) -> None:
    async with feed.server.lifespan(), anyio.create_task_group() as tasks:
        client = await connected(feed.server)
        tasks.start_soon(client.send, "subscribe", {"room": "feed"})
        await settle()
        await feed.proceed(client)
        client.take()
        for marked in (False, True):
            feed.mark = marked
            tasks.start_soon(client.send, "subscribe", {"room": "feed"})
            await settle()
            feed.publish()
            if marked:
                await feed.proceed(client)
                feed.publish()
            await feed.proceed(client, Unauthorized("no longer"))
            feed.publish()
            assert [(sent.name, sent.data.get("state")) for sent in client.take()] == [
                *(("tick", state) for state in range(feed.state - 1 - marked, feed.state)),
                ("error", None),
                ("tick", feed.state),
            ]


async def test_joiners_do_not_get_what_others_are_sent_late(feed: Feed) -> None:
    feed.mark = True
    async with feed.server.lifespan(), anyio.create_task_group() as tasks:
        clients = [await connected(feed.server) for _ in range(3)]
        for client in clients:
            tasks.start_soon(client.send, "subscribe", {"room": "feed"})
        await settle()
        for client in clients:
            await feed.proceed(client)
        await feed.proceed(clients[0])
        receipt = feed.publish()
        assert (receipt.matched, receipt.queued, receipt.dropped) == (3, 3, 0)
        await feed.proceed(clients[1])
        await feed.proceed(clients[2])
        last = [client.take()[-1] for client in clients]
        assert last[0].name == "tick"
        assert last == [last[0]] * 3


async def test_a_mark_outside_a_join_means_nothing() -> None:
    class Poke(Event):
        pass

    plugin = Plugin("p")

    @plugin.on(Poke)
    async def poke(ctx: Context, request: Poke) -> None:
        ctx.mark_snapshot()
        assert ctx.hold is None

    server = make_server(plugin)
    async with server.lifespan():
        client = await connected(server)
        assert await client.ask("poke", ack=1) == [Sent("ack", {"ok": True}, 1)]


async def test_what_is_published_while_the_first_message_is_sent_comes_behind_it() -> None:
    plugin = Plugin("p")
    plugin.emits(Tick, Snapshot)

    @plugin.room("feed", announce=False)
    async def join(ctx: Context) -> Snapshot:
        return Snapshot(state=1)

    server = make_server(plugin)
    async with server.lifespan():
        client = await connected(server)
        inbound = Inbound("subscribe", JSONArguments([]), None)
        services = server.sessions._dispatcher._services
        ctx = Context.of(services, client.socket.state, inbound, None)
        async with server._membership.joining(ctx, "feed") as first:
            assert first == Snapshot(state=1)
            await settle()
            server.to("feed").emit(Tick(state=2))
            assert client.take() == []
            ctx.emit(first)
        assert client.take() == [Sent("snapshot", {"state": 1}), Sent("tick", {"state": 2})]


async def test_asked_again_by_the_next_connection_while_the_first_is_served(serve: Serve) -> None:
    feed = Feed()
    async with serve(feed.plugin()) as feed.server, connect(feed.server, "ada") as client:
        client.emit(Subscribe(room="feed"))
        await settle()
        await client.reconnect()
        assert client.recovered
        client.emit(Subscribe(room="feed"))
        for _ in range(2):
            await settle()
            feed.publish()
            feed._gates.pop(client.sid).set()
        await settle()
        feed.publish()
        assert [type(event) for event in await client.take()] == [
            *(Recovered, Subscribed, Snapshot),
            *(Tick, Subscribed, Snapshot),
            Tick,
        ]
