"""The clients of the kit: what they send and are sent, over every wire."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from lbproto import (
    Context,
    Event,
    Identity,
    Model,
    NotFound,
    Overloaded,
    Plugin,
    Server,
    UsageError,
)
from lbproto.messages import (
    Error,
    Subscribe,
    Subscribed,
    UserJoinedRoom,
    UserLeftRoom,
    ValidationError,
)
from lbproto.testing import AnyToken, Client, Closed, Serve, VirtualClock, Wire, connect, settle
from lbproto.wire import Peer, Refused

pytestmark = pytest.mark.anyio

WIRES: list[Wire] = ["socketio-json", "socketio-msgpack", "plain-json", "plain-msgpack"]
SOCKETIO = WIRES[:2]
wires = pytest.mark.parametrize("wire", WIRES)


class Greet(Event):
    name: str
    after: float = 0


class Greeting(Event):
    text: str


class Upload(Event):
    content: bytes


class Uploaded(Event):
    content: bytes
    size: int


class Part(Model):
    number: int


class Whole(Event):
    parts: list[Part]
    by_name: dict[int, Part]


class Silent(Event):
    """Answered by nothing but the acknowledgement."""


class Question(Event):
    text: str


def greeter() -> Plugin:
    plugin = Plugin("greeter")
    plugin.emits(Whole, Question)

    @plugin.on(Greet)
    async def greet(ctx: Context, request: Greet) -> Greeting:
        if request.name == "nobody":
            raise NotFound("there is nobody of that name")
        await ctx.clock.sleep(request.after)
        return Greeting(text=f"Hello {request.name}")

    @plugin.on(Upload)
    async def upload(ctx: Context, request: Upload) -> Uploaded:
        return Uploaded(content=request.content, size=len(request.content))

    @plugin.on(Silent)
    async def silent(ctx: Context, request: Silent) -> None:
        pass

    @plugin.room("hall")
    async def join(ctx: Context) -> None:
        pass

    return plugin


@pytest.fixture(params=WIRES)
async def client(request: pytest.FixtureRequest, server: Server) -> AsyncIterator[Client]:
    async with connect(server, "ada", wire=request.param) as client:
        yield client


@pytest.fixture
async def server(serve: Serve) -> AsyncIterator[Server]:
    async with serve(greeter()) as server:
        yield server


async def test_a_client_is_told_who_it_is(client: Client) -> None:
    assert client.connected.user_id == "ada"
    assert client.connected.sid == client.sid
    assert not client.recovered
    await client.expect_nothing()


async def test_an_answer_is_an_event_and_comes_once(client: Client) -> None:
    assert await client.request(Greet(name="Bob")) == Greeting(text="Hello Bob")
    await client.expect_nothing()


async def test_a_refusal_is_an_answer_too(client: Client) -> None:
    refusal = await client.request(Greet(name="nobody"), Error)
    assert (refusal.code, refusal.event) == ("NOT_FOUND", "greet")
    refused = await client.request({"event": "greet", "data": {"name": 5}}, ValidationError)
    assert refused.message == "Expected `str`, got `int` - at `$.name`"
    await client.expect_nothing()


async def test_a_request_that_no_event_answers(client: Client) -> None:
    assert await client.request(Silent()) is None


async def test_an_answer_that_takes_its_time(client: Client, clock: VirtualClock) -> None:
    before = clock.monotonic()
    answer = await client.request(Greet(name="Bob", after=3), Greeting, timeout=10)
    assert answer.text == "Hello Bob"
    assert clock.monotonic() == before + 3


async def test_bytes_go_both_ways(client: Client) -> None:
    answer = await client.request(Upload(content=b"\0\xff"), Uploaded)
    assert answer == Uploaded(content=b"\0\xff", size=2)


async def test_what_is_emitted_is_expected(client: Client, server: Server) -> None:
    client.emit(Greet(name="Bob"))
    client.emit({"event": "greet", "data": {"name": "Eve"}})
    assert await client.expect(Greeting, text="Hello Eve") == Greeting(text="Hello Eve")
    assert await client.take(Question) == []
    assert await client.take() == [Greeting(text="Hello Bob")]
    whole = Whole(parts=[Part(number=1), Part(number=2)], by_name={3: Part(number=3)})
    server.to_user("ada").emit(whole)
    assert await client.expect(Whole) == whole
    await client.expect_nothing()


async def test_only_the_named_class_is_expected_not_to_come(client: Client) -> None:
    client.emit(Greet(name="Bob"))
    await client.expect_nothing(Error)
    await client.expect(Greeting)


async def test_an_event_is_waited_for_as_long_as_is_said(
    client: Client, clock: VirtualClock
) -> None:
    client.emit(Greet(name="Bob", after=30))  # longer than a heartbeat
    await client.expect_nothing(seconds=29)
    await client.expect(Greeting, timeout=1)


async def test_an_acknowledgement_is_given(client: Client, server: Server) -> None:
    answers: list[dict[str, int]] = []
    (member,) = await server.members("user:ada")
    session = member.session
    assert session is not None

    async def ask() -> None:
        question = Question(text="how many?")
        answers.append(await server.emit_with_ack(session, question, dict[str, int]))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        client.acknowledge(await client.expect(Question), {"many": 3})
    assert answers == [{"many": 3}]
    client.emit(Greet(name="Bob"))
    with pytest.raises(UsageError, match="does not wait for Greeting"):
        client.acknowledge(await client.expect(Greeting))


async def test_a_lost_connection_is_taken_up_again(
    client: Client, server: Server, clock: VirtualClock
) -> None:
    sid = client.sid
    await client.request(Subscribe(room="hall"), Subscribed)
    client.drop()
    assert client.closed == Closed(1006, "lost")
    await clock.advance(5)
    server.to("hall").emit(Question(text="where are you?"))
    await client.reconnect()
    assert (client.recovered, client.sid) == (True, sid)
    await client.expect(Question, text="where are you?")


async def test_a_session_that_is_gone_is_not_recovered(client: Client, clock: VirtualClock) -> None:
    sid = client.sid
    client.drop()
    await clock.advance(3600)
    await client.reconnect()
    assert not client.recovered
    assert client.sid != sid


async def test_who_leaves_ends_the_session(client: Client, server: Server) -> None:
    client.close()
    await settle()
    assert await server.members("user:ada") == []
    await client.reconnect()
    assert not client.recovered


async def test_who_is_dropped_stays_for_the_grace(client: Client, server: Server) -> None:
    await client.request(Subscribe(room="hall"), Subscribed)
    async with connect(server, "bob") as bob:
        await bob.request(Subscribe(room="hall"), Subscribed)
        client.drop()
        await bob.expect_nothing(seconds=14)
        await bob.expect(UserLeftRoom, timeout=1, user_id="ada")


async def test_a_client_that_stops_reading_is_cut_off(client: Client, server: Server) -> None:
    client.pause()
    server.to_user("ada").emit(Question(text="are you there?"))
    await settle()  # this one is being sent: the others queue up behind it
    for _ in range(server.settings.max_queued_frames + 1):
        server.to_user("ada").emit(Question(text="still?"))
    assert (await client.expect_closed()).code == 4408


async def test_who_reads_again_gets_everything(client: Client, server: Server) -> None:
    client.pause()
    for number in range(3):
        server.to_user("ada").emit(Question(text=str(number)))
        await client.expect_nothing()
    client.resume_reading()
    assert [question.text for question in await client.take(Question)] == ["0", "1", "2"]


async def test_a_client_is_disconnected(client: Client, server: Server) -> None:
    await server.disconnect("ada")
    closed = await client.expect_closed()
    assert closed.reason in ("io server disconnect", "disconnected by the server")
    with pytest.raises(UsageError, match="its connection is over"):
        client.emit(Greet(name="Bob"))


@wires
async def test_a_client_without_a_token_is_refused(serve: Serve, wire: Wire) -> None:
    async with serve() as server:
        with pytest.raises(Refused, match="no token") as refused:
            async with connect(server, wire=wire):
                pass
    assert refused.value.data == {"code": "UNAUTHORIZED", "message": "no token"}


@wires
async def test_two_clients_see_each_other(serve: Serve, wire: Wire) -> None:
    async with (
        serve(greeter()) as server,
        connect(server, "ada", wire=wire) as ada,
        connect(server, "bob") as bob,
    ):
        await ada.request(Subscribe(room="hall"), Subscribed)
        answer = await bob.request(Subscribe(room="hall"), Subscribed)
        assert answer.subscriber_count == 2
        await ada.expect(UserJoinedRoom, user_id="bob")
        await bob.expect_nothing()


@pytest.mark.parametrize("wire", SOCKETIO)
async def test_a_client_that_ignores_heartbeats_is_given_up(serve: Serve, wire: Wire) -> None:
    async with serve() as server, connect(server, "ada", wire=wire, answer_pings=False) as client:
        await client.expect_nothing(seconds=44)
        assert (await client.expect_closed(timeout=1)).reason == "ping timeout"


@wires
async def test_without_recovery_every_connection_is_a_session(serve: Serve, wire: Wire) -> None:
    async with serve(recovery=None) as server, connect(server, "ada", wire=wire) as client:
        sid = client.sid
        await client.reconnect()
        assert not client.recovered
        assert client.sid != sid


class Busy:
    """An authenticator that has no time now."""

    async def authenticate(self, token: str, peer: Peer) -> Identity:
        raise Overloaded("not now")


@wires
async def test_a_server_that_has_no_time_lets_nobody_in(serve: Serve, wire: Wire) -> None:
    async with serve(auth=Busy()) as server:
        with pytest.raises(Refused, match="not now"):
            async with connect(server, "ada", wire=wire):
                pass


@wires
async def test_a_server_that_stops_takes_nobody(serve: Serve, wire: Wire) -> None:
    async with serve() as server:
        await server.close()
        with pytest.raises(Overloaded, match="takes no new connections"):
            async with connect(server, "ada", wire=wire):
                pass


async def test_a_client_that_is_far_ahead_is_read_from_in_order(
    client: Client, server: Server
) -> None:
    count = server.settings.max_pending_requests * 2
    for number in range(count):
        client.emit(Greet(name=str(number), after=1))
    answers = [await client.expect(Greeting, timeout=1) for _ in range(count)]
    assert [answer.text for answer in answers] == [f"Hello {number}" for number in range(count)]


async def test_a_server_that_does_not_run_says_so() -> None:
    with pytest.raises(UsageError, match="is not running"):
        async with connect(Server(auth=AnyToken(), clock=VirtualClock()), "ada"):
            pass
    with pytest.raises(UsageError, match="clock=VirtualClock"):
        async with connect(Server(auth=AnyToken()), "ada"):
            pass
