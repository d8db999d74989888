"""A drain on the wire: what clients see of it, by every transport."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import TaskGroup

from lbproto.asgi.plain import PlainEndpoint
from lbproto.connection.runtime import Runtime
from lbproto.scheduling.tasks import background_tasks
from lbproto.testing import VirtualClock, settle
from lbproto.transport import CloseCode
from lbproto.wire import Socket
from tests.wire.asgi import get, post, sid_of, websocket
from tests.wire.kit import Program, engine_client, engine_edge, plain_client, running

pytestmark = pytest.mark.anyio

RESTART = (CloseCode.SERVICE_RESTART, "the server is stopping")


def tell(socket: Socket, retry_after: int) -> None:
    socket.emit("draining", retry_after)


@asynccontextmanager
async def draining(runtime: Runtime, seconds: float = 10) -> AsyncIterator[TaskGroup]:
    """Drain while the body runs, and until it is over."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(runtime.drain, seconds, tell)
        await settle()
        yield tasks


async def test_the_transport_is_closed_and_no_namespace_left() -> None:
    """A stock client never comes back after a DISCONNECT packet."""
    async with running() as runtime:
        client = engine_client(runtime, Program())
        await client.send("40", "40/ws", "40/third", "41/third")
        client.transport.take()
        async with draining(runtime):
            told = client.transport.take()
        assert told == ['42["draining",1]', '42/ws,["draining",1]']
        assert client.transport.closed == RESTART


async def test_only_whoever_is_connected_is_told() -> None:
    async with running() as runtime:
        nobody, waiting = engine_client(runtime, Program()), engine_client(runtime, Program())
        waiting.send_nowait('40{"token":"slow"}')
        await settle()
        for client in (nobody, waiting):
            client.transport.take()
        async with draining(runtime, 0):
            pass
        for client in (nobody, waiting):
            assert client.transport.take() == []
            assert client.transport.closed == RESTART


async def test_whoever_was_disconnected_is_not_told() -> None:
    async with running() as runtime:
        program = Program()
        client = plain_client(runtime, program, "t")
        await settle()
        client.transport.take()
        client.transport.pause()
        (socket,) = program.sockets.values()
        socket.emit("last words")
        await settle()
        socket.disconnect()
        async with draining(runtime):
            client.transport.resume()
            await settle()
        assert client.transport.take() == ['{"event":"last words","data":{}}']


@pytest.mark.parametrize("kind", ["socketio", "plain"])
async def test_while_a_request_is_served_the_wire_is_served_too(kind: str) -> None:
    clock = VirtualClock()
    async with running(clock=clock) as runtime:
        program = Program()
        if kind == "plain":
            client = plain_client(runtime, program, "t")
            await settle()
            slow, echo = '{"event":"slow"}', '{"event":"echo"}'
        else:
            client = engine_client(runtime, program)
            await client.send("40")
            slow, echo = '42["slow"]', '42["echo"]'
        await client.send(slow)
        async with draining(runtime, 60):
            client.transport.take()
            if kind == "socketio":
                for _ in range(2):  # without its answers it would be taken for dead at 45 s
                    await clock.advance(25)
                    assert client.transport.take() == ["2"]
                    await client.send("3")
            await client.send(echo)  # taken no more
            assert client.transport.is_open
            program.release()
            await settle()
            assert client.transport.closed == RESTART
        assert len(client.transport.take()) == 1
        assert [entry[0] for entry in program.log] == ["opened", "slow", "closed"]


async def test_a_client_that_is_being_let_in_may_finish() -> None:
    async with running() as runtime:
        program = Program()
        client = engine_client(runtime, program)
        client.send_nowait('40{"token":"slow"}')
        await settle()
        async with draining(runtime):
            assert client.transport.is_open
            program.release()
            await settle()
        assert [entry[0] for entry in program.log] == ["opened", "closed"]
        assert client.transport.closed == RESTART


async def test_a_poll_that_waits_is_told_and_a_later_one_closed() -> None:
    clock = VirtualClock()
    async with running(clock=clock) as runtime, background_tasks() as tasks:
        edge = engine_edge(runtime, Program())
        sids = []
        for _ in range(2):
            sids.append(sid_of((await get(edge, tasks)).text))
            await post(edge, tasks, sids[-1], b"40")
        polls = [f"EIO=4&transport=polling&sid={sid}" for sid in sids]
        for poll in polls:
            await get(edge, tasks, poll)  # the welcome
        waiting = [await get(edge, tasks, poll) for poll in polls]
        async with draining(runtime):
            told = {call.text for call in waiting}
            assert told == {'42["draining",1]', '42["draining",5]'}
            ((late, connection),) = runtime.engines.items()
            assert {late} < set(sids)
            waits = await get(edge, tasks, f"EIO=4&transport=polling&sid={late}")
            await clock.advance(4.9)
            assert not waits.done
            assert not connection.closed
            await clock.advance(0.1)
            assert waits.answer == (200, "1")
        assert not runtime.engines


async def test_a_request_that_was_posted_is_answered_by_a_poll() -> None:
    async with running() as runtime, background_tasks() as tasks:
        program = Program()
        edge = engine_edge(runtime, program)
        sid = sid_of((await get(edge, tasks)).text)
        poll = f"EIO=4&transport=polling&sid={sid}"
        await post(edge, tasks, sid, b"40")
        await get(edge, tasks, poll)
        await post(edge, tasks, sid, b'42["slow",1]')
        async with draining(runtime):
            assert (await get(edge, tasks, poll)).text == '42["draining",1]'
            waits = await get(edge, tasks, poll)
            program.release()
            await settle()
            assert waits.answer == (200, '42["slow",1]')
        assert not runtime.engines


async def test_polling_may_still_give_way_to_a_websocket() -> None:
    clock = VirtualClock()
    async with running(clock=clock) as runtime, background_tasks() as tasks:
        program = Program()
        edge = engine_edge(runtime, program)
        sid = sid_of((await get(edge, tasks)).text)
        await post(edge, tasks, sid, b"40")
        await get(edge, tasks, f"EIO=4&transport=polling&sid={sid}")
        await post(edge, tasks, sid, b'42["slow"]')
        async with draining(runtime):
            upgrade = await websocket(edge, tasks, f"EIO=4&transport=websocket&sid={sid}")
            await upgrade.say("2probe", "5")
            program.release()
            await settle()
            assert upgrade.close_code == CloseCode.SERVICE_RESTART
            assert upgrade.messages == ["3probe", '42["draining",1]', '42["slow"]']


async def test_a_new_client_is_refused_and_told_to_try_again() -> None:
    clock = VirtualClock()
    async with running(clock=clock) as runtime, background_tasks() as tasks:
        program = Program()
        clients = [engine_client(runtime, program) for _ in range(2)]
        engine, plain = engine_edge(runtime, program), PlainEndpoint(runtime, program, ("*",))
        async with draining(runtime):
            assert len(runtime.connections) == 1
            call = await get(engine, tasks)
            assert (call.status, call.headers["retry-after"]) == (503, "1")
            for app in (engine, plain):
                refused = await websocket(app, tasks, extensions={"websocket.http.response": {}})
                assert not refused.accepted
                assert (refused.status, refused.headers["retry-after"]) == (503, "1")
                short = await websocket(app, tasks)
                assert [event["type"] for event in short.sent] == ["websocket.close"]
            assert len(runtime.connections) == 1
            await clock.advance(5)
        assert all(client.connection.closed for client in clients)


async def test_other_refusals_do_not_ask_to_try_again() -> None:
    async with running() as runtime, background_tasks() as tasks:
        call = await get(engine_edge(runtime, Program()), tasks, "EIO=3&transport=polling")
        assert call.status == 400
        assert "retry-after" not in call.headers
