"""From polling to a websocket: nothing lost or doubled, and a way back until the last word."""

from __future__ import annotations

import pytest
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lbproto.asgi.engineio import EngineEndpoint
from lbproto.connection.engineio import EngineConnection
from lbproto.connection.runtime import Runtime
from lbproto.frame import Message
from lbproto.scheduling.tasks import background_tasks
from lbproto.testing import VirtualClock, settle
from lbproto.transport import CloseCode, Peer
from lbproto.wire import ProtocolError
from lbproto.wire.engineio import decode_payload
from tests.wire.asgi import Call, WebSocketCall, get, post, sid_of, websocket
from tests.wire.kit import MemoryTransport, Program, engine_edge, running

pytestmark = pytest.mark.anyio


class Session:
    """A Socket.IO client that polls, as seen from outside."""

    def __init__(self, edge: EngineEndpoint, tasks: TaskGroup, program: Program, sid: str) -> None:
        self.program = program
        self.sid = sid
        self._edge = edge
        self._tasks = tasks

    async def poll(self) -> Call:
        return await get(self._edge, self._tasks, f"EIO=4&transport=polling&sid={self.sid}")

    async def post(self, body: str) -> Call:
        return await post(self._edge, self._tasks, self.sid, body.encode())

    async def websocket(self) -> WebSocketCall:
        return await websocket(self._edge, self._tasks, f"EIO=4&transport=websocket&sid={self.sid}")

    def emit(self, *values: object) -> None:
        self.program.sockets["/"].emit("n", *values)

    async def lives_on_polling(self) -> bool:
        """Whether a poll waits for the next event, and gets it."""
        poll = await self.poll()
        if poll.done:
            return False
        self.emit("alive")
        await settle()
        return poll.answer == (200, '42["n","alive"]')


async def session(runtime: Runtime, tasks: TaskGroup) -> Session:
    """A connected session whose client has read everything so far."""
    program = Program()
    edge = engine_edge(runtime, program)
    handshake = await get(edge, tasks)
    client = Session(edge, tasks, program, sid_of(handshake.text))
    await client.post("40")
    assert (await client.poll()).text.endswith('42["welcome"]')
    return client


async def test_the_whole_way() -> None:
    async with running() as runtime, background_tasks() as tasks:
        client = await session(runtime, tasks)
        poll = await client.poll()
        upgrade = await client.websocket()
        await upgrade.say("2probe")
        assert upgrade.messages == ["3probe"]
        assert poll.answer == (200, "6")  # so that the client can stop polling
        assert (await client.poll()).answer == (200, "6")
        await upgrade.say("5", '42["echo",1]')
        assert upgrade.messages == ["3probe", '42["echo",1]']
        assert (await client.poll()).status == 400
        assert (await client.post("42[]")).status == 400
        client.emit(2)
        await settle()
        assert upgrade.messages[-1] == '42["n",2]'
        await upgrade.hang_up()
        assert client.program.log[-1] == ("closed", "/", "transport close")
        assert upgrade.done


async def test_what_no_poll_has_taken_comes_by_the_websocket() -> None:
    async with running() as runtime, background_tasks() as tasks:
        client = await session(runtime, tasks)
        client.emit(1)
        await settle()
        client.emit(2)
        upgrade = await client.websocket()
        await upgrade.say("2probe")
        client.emit(3)
        await upgrade.say("5")
        client.emit(4)
        await settle()
        assert upgrade.messages == ["3probe", *(f'42["n",{n}]' for n in (1, 2, 3, 4))]


async def test_what_a_poll_has_taken_does_not_come_again() -> None:
    async with running() as runtime, background_tasks() as tasks:
        client = await session(runtime, tasks)
        client.emit(1)
        upgrade = await client.websocket()
        await upgrade.say("2probe")
        assert (await client.poll()).answer == (200, '42["n",1]')
        client.emit(2)
        await upgrade.say("5")
        assert upgrade.messages == ["3probe", '42["n",2]']


async def test_an_answer_that_is_still_being_made_comes_by_the_websocket() -> None:
    async with running() as runtime, background_tasks() as tasks:
        client = await session(runtime, tasks)
        assert (await client.post('42["slow",1]\x1e42["echo",2]')).answer == (200, "ok")
        upgrade = await client.websocket()
        await upgrade.say("2probe", "5", '42["echo",3]')
        assert upgrade.messages == ["3probe"]
        client.program.release()
        await settle()
        assert upgrade.messages[1:] == ['42["slow",1]', '42["echo",2]', '42["echo",3]']


FAILED_PROBES: dict[str, tuple[Message, ...]] = {
    "no probe": ("2",),
    "a message": ("4hello",),
    "an upgrade without a probe": ("5",),
    "binary": (b"2probe",),
    "two probes": ("2probe", "2probe"),
    "a message behind the probe": ("2probe", "4hello"),
    "a pong behind the probe": ("2probe", "3probe"),
}


@pytest.mark.parametrize("messages", FAILED_PROBES.values(), ids=FAILED_PROBES)
async def test_a_probe_that_fails_leaves_polling_alive(messages: tuple[Message, ...]) -> None:
    async with running() as runtime, background_tasks() as tasks:
        client = await session(runtime, tasks)
        upgrade = await client.websocket()
        await upgrade.say(*messages)
        assert upgrade.close_code == CloseCode.PROTOCOL_ERROR
        assert upgrade.done
        assert await client.lives_on_polling()
        second = await client.websocket()
        await second.say("2probe", "5")
        client.emit("again")
        await settle()
        assert second.messages == ["3probe", '42["n","again"]']


@pytest.mark.parametrize("probed", [False, True])
@pytest.mark.parametrize("how", ["hangs up", "is silent", "is ended by the server", "cannot read"])
async def test_a_websocket_that_goes_leaves_polling_alive(probed: bool, how: str) -> None:
    clock = VirtualClock()
    async with running(clock=clock) as runtime, background_tasks() as tasks:
        client = await session(runtime, tasks)
        upgrade = await client.websocket()
        if probed:
            await upgrade.say("2probe")
        if how == "hangs up":
            await upgrade.hang_up()
            assert upgrade.close_code is None  # nobody is there to be told
        elif how == "is silent":
            await clock.advance(9.9)
            assert not upgrade.done
            await clock.advance(0.1)
            assert upgrade.close_code == CloseCode.PROTOCOL_ERROR
        elif how == "is ended by the server":
            await upgrade.cancel()
        else:
            upgrade.fail_receive(OSError("gone"))
            await settle()
        assert upgrade.done
        assert await client.lives_on_polling()
        second = await client.websocket()
        await second.say("2probe")
        assert second.messages == ["3probe"]


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("closed")])
async def test_a_probe_that_cannot_be_answered_leaves_polling_alive(error: Exception) -> None:
    async with running() as runtime, background_tasks() as tasks:
        client = await session(runtime, tasks)
        upgrade = await client.websocket()
        upgrade.failure = error
        await upgrade.say("2probe")
        assert upgrade.done
        assert upgrade.error is None  # a peer that is gone is nothing to log
        assert await client.lives_on_polling()


async def test_a_second_probe_is_refused_while_the_first_goes_on() -> None:
    async with running() as runtime, background_tasks() as tasks:
        client = await session(runtime, tasks)
        first = await client.websocket()
        await first.say("2probe")
        second = await client.websocket()
        await second.say("2probe")
        assert (second.messages, second.close_code) == ([], CloseCode.PROTOCOL_ERROR)
        await first.say("5")
        client.emit(1)
        await settle()
        assert first.messages == ["3probe", '42["n",1]']


async def test_a_second_websocket_cannot_end_the_firsts_probe() -> None:
    async with running() as runtime, background_tasks() as tasks:
        client = await session(runtime, tasks)
        first = await client.websocket()
        await first.say("2probe")
        second = await client.websocket()
        await second.say("5")
        assert second.close_code == CloseCode.PROTOCOL_ERROR
        await first.say("5", '42["echo",1]')
        assert first.messages == ["3probe", '42["echo",1]']


async def test_a_session_with_a_websocket_takes_no_other() -> None:
    async with running() as runtime, background_tasks() as tasks:
        client = await session(runtime, tasks)
        first = await client.websocket()
        await first.say("2probe", "5")
        second = await client.websocket()
        assert second.close_code == CloseCode.POLICY_VIOLATION
        assert second.done
        await first.say('42["echo",1]')
        assert first.messages[-1] == '42["echo",1]'


async def test_the_session_may_end_while_it_is_probed() -> None:
    async with running() as runtime, background_tasks() as tasks:
        client = await session(runtime, tasks)
        upgrade = await client.websocket()
        await upgrade.say("2probe")
        assert (await client.post("1")).answer == (200, "ok")
        await upgrade.say("5")
        assert upgrade.close_code == CloseCode.PROTOCOL_ERROR
        assert upgrade.done
        assert not runtime.connections


async def test_heartbeats_go_on_over_the_websocket() -> None:
    clock = VirtualClock()
    async with running(clock=clock) as runtime, background_tasks() as tasks:
        client = await session(runtime, tasks)
        await clock.advance(24.0)
        upgrade = await client.websocket()
        await upgrade.say("2probe", "5")
        await clock.advance(1.0)
        assert upgrade.messages == ["3probe", "2"]
        await upgrade.say("3")
        await clock.advance(45.0)
        assert upgrade.close_code == CloseCode.GOING_AWAY


class Silent:
    """What stands on a connection that is only sent to."""

    def message(self, data: Message) -> None:
        pass

    def closed(self, reason: str) -> None:
        pass


class Client:
    """A client that polls and upgrades as its test says, and what it has got."""

    def __init__(self, connection: EngineConnection, tasks: TaskGroup) -> None:
        self.connection = connection
        self.websocket = MemoryTransport()
        self.polled: list[Message] = []
        self.polling = False
        self._tasks = tasks

    @property
    def got(self) -> list[Message]:
        return [m for m in (*self.polled, *self.websocket.messages) if m != "6"]

    def poll(self) -> None:
        if self.connection.polls is not None and not self.polling:
            self.polling = True
            self._tasks.start_soon(self._poll)

    async def _poll(self) -> None:
        polls = self.connection.polls
        if polls is not None:
            self.polled += decode_payload((await polls.poll()).encode())
        self.polling = False

    def probe(self, packet: str) -> None:
        try:
            self.connection.receive_probe(packet, self.websocket)
        except ProtocolError:
            self.connection.probe_lost()


STEPS = ["send", "send", "burst", "poll", "poll", "probe", "upgrade", "turn", "turn", "settle"]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(STEPS), max_size=30))
@example(["poll", "turn", "send", "probe", "upgrade", "turn"])
@example(["poll", "settle", "probe", "send", "upgrade", "send"])
@example(["send", "settle", "probe", "poll", "upgrade"])
async def test_nothing_is_lost_doubled_or_reordered(steps: list[str]) -> None:
    async with running() as runtime, background_tasks() as tasks:
        connection = EngineConnection(runtime, Peer(), lambda _: Silent())
        client = Client(connection, tasks)
        sent: list[str] = []
        for step in steps:
            if step in ("send", "burst"):
                for _ in range(1 if step == "send" else 3):
                    connection.send(str(len(sent)))
                    sent.append(f"4{len(sent)}")
            elif step == "poll":
                client.poll()
            elif step in ("probe", "upgrade"):
                client.probe("2probe" if step == "probe" else "5")
            elif step == "turn":
                await checkpoint()
            else:
                await settle()
        await settle()
        for _ in range(3):  # the client goes on as it should
            client.poll()
            await settle()
        assert client.got[0] == connection.engine.handshake() or "upgrades" in str(client.got[0])
        assert client.got[1:] == sent
