"""What every connection does, whatever it speaks: closing, failing, and the server's end."""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio
import pytest

from lbproto.connection.runtime import Runtime
from lbproto.testing import VirtualClock, settle
from lbproto.transport import CloseCode
from lbproto.wire import Settings
from tests.wire.kit import Client, Program, engine_client, plain_client, running

pytestmark = pytest.mark.anyio

Opened = tuple[Program, Client, Callable[[str], str]]


async def opened(kind: str, runtime: Runtime, user: str = "t") -> Opened:
    """A client that has shown its token, and the form of an event it may send."""
    program = Program()
    if kind == "plain":
        client = plain_client(runtime, program, user)
        await settle()
        return program, client, '{{"event":"{}"}}'.format
    client = engine_client(runtime, program)
    await client.send(f'40{{"token":"{user}"}}')
    return program, client, '42["{}"]'.format


every_kind = pytest.mark.parametrize("kind", ["socketio", "plain"])


@every_kind
async def test_what_is_queued_is_sent_before_the_close(kind: str) -> None:
    async with running() as runtime:
        program, client, event = await opened(kind, runtime)
        (socket,) = program.sockets.values()
        client.transport.take()
        for number in range(3):
            socket.emit("last words", number)
        socket.close(CloseCode.SERVICE_RESTART, "moving house")
        socket.close(CloseCode.NORMAL, "the first word counts")
        assert client.transport.is_open
        await client.send(event("echo"))  # nothing is taken any more
        assert len(client.transport.take()) == 3
        assert client.transport.closed == (CloseCode.SERVICE_RESTART, "moving house")
        assert program.log == [
            ("opened", socket.namespace),
            ("closed", socket.namespace, "moving house"),
        ]
        socket.emit("into the void")
        assert client.transport.take() == []


@every_kind
async def test_a_close_waits_for_a_slow_peer_to_read(kind: str) -> None:
    async with running() as runtime:
        program, client, _ = await opened(kind, runtime)
        (socket,) = program.sockets.values()
        client.transport.take()
        client.transport.pause()
        socket.emit("a")
        await settle()
        socket.emit("b")
        socket.close(CloseCode.SERVICE_RESTART, "moving house")
        await settle()
        assert client.transport.is_open
        client.transport.resume()
        await settle()
        assert len(client.transport.take()) == 2
        assert client.transport.closed == (CloseCode.SERVICE_RESTART, "moving house")


TOO_SLOW = (CloseCode.SLOW_CONSUMER, "too slow: reconnect and resume")


@every_kind
@pytest.mark.parametrize("bound", ["frames", "bytes"])
async def test_a_slow_consumer_is_closed_and_told_why(kind: str, bound: str) -> None:
    bounds = Settings(max_queued_frames=10, max_queued_bytes=10_000)
    async with running(bounds) as runtime:
        _, other, other_event = await opened(kind, runtime)
        program, client, event = await opened(kind, runtime)
        (socket,) = program.sockets.values()
        client.transport.take()
        client.transport.pause()
        socket.emit("taken by the transport")
        await settle()
        for _ in range(10 if bound == "frames" else 2):
            socket.emit("queued", "x" * (1 if bound == "frames" else 4_900))
        await settle()
        assert client.transport.is_open
        socket.emit("too much", "x" * 200)
        assert len(program.log) == 1  # not in the middle of a broadcast
        await settle()
        assert client.transport.closed == TOO_SLOW
        assert program.log[-1] == ("closed", socket.namespace, "too slow: reconnect and resume")
        await client.send(event("echo"))
        assert len(await other.ask(other_event("echo"))) == 1
        client.transport.resume()
        await settle()
        assert len(client.transport.take()) == 1  # what was queued behind it is not sent any more


@every_kind
async def test_a_client_that_asks_more_than_it_reads_is_closed(kind: str) -> None:
    async with running(Settings(max_queued_frames=10)) as runtime:
        program, client, event = await opened(kind, runtime)
        client.transport.pause()
        for _ in range(50):
            await client.send(event("echo"))
        assert client.transport.closed == TOO_SLOW
        assert len([entry for entry in program.log if entry[0] == "echo"]) < 15
        client.transport.resume()


async def test_a_flood_of_refusals_is_bounded_by_what_is_read() -> None:
    async with running(Settings(max_queued_frames=10)) as runtime:
        client = engine_client(runtime, Program())
        client.transport.pause()
        await client.send(*(f"40/random{number}" for number in range(50)))
        assert client.transport.closed == TOO_SLOW
        client.transport.resume()


@every_kind
@pytest.mark.parametrize("what", ["event", "authentication"])
async def test_a_failing_program_closes_only_its_connection(
    kind: str, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as runtime:
        _, other, other_event = await opened(kind, runtime)
        token = "fail" if what == "authentication" else "t"
        program, client, event = await opened(kind, runtime, token)
        await client.send(event("fail"), event("echo"))
        assert client.transport.closed == (CloseCode.INTERNAL_ERROR, "internal error")
        assert program.sockets == {}
        assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 1
        assert not other.connection.closed
        assert len(await other.ask(other_event("echo"))) == 1


@every_kind
async def test_nothing_that_waits_is_handled_after_a_failure(kind: str) -> None:
    async with running() as runtime:
        program, client, event = await opened(kind, runtime)
        client.send_nowait(event("fail"), event("echo"))
        await settle()
        assert [entry[0] for entry in program.log] == ["opened", "fail", "closed"]


@every_kind
async def test_a_program_that_fails_at_the_end_harms_nobody(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as runtime:
        _, other, other_event = await opened(kind, runtime)
        program, client, _ = await opened(kind, runtime)
        program.sockets.clear()  # so that `closed` raises
        client.connection.lost("transport close")
        assert client.connection.closed
        assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 1
        assert len(await other.ask(other_event("echo"))) == 1


async def test_every_socket_is_told_of_the_end_though_one_fails() -> None:
    async with running() as runtime:
        program = Program()
        client = engine_client(runtime, program)
        await client.send("40", "40/ws", "40/third")
        del program.sockets["/"]
        client.connection.lost("transport close")
        assert {entry[1] for entry in program.log if entry[0] == "closed"} == {"/", "/ws", "/third"}


@every_kind
async def test_the_connections_are_closed_when_the_server_stops(kind: str) -> None:
    async with running() as runtime:
        program, client, _ = await opened(kind, runtime)
        client.transport.take()
        (socket,) = program.sockets.values()
        socket.emit("last words")
        await runtime.drain(0)
        assert len(client.transport.messages) == 1
        assert client.transport.closed == (CloseCode.SERVICE_RESTART, "the server is stopping")
        assert not runtime.accepting


@every_kind
async def test_a_peer_that_does_not_read_is_not_waited_for_when_the_server_stops(
    kind: str,
) -> None:
    clock = VirtualClock()
    async with running(clock=clock) as runtime, anyio.create_task_group() as tasks:
        program, client, _ = await opened(kind, runtime)
        client.transport.pause()
        for socket in program.sockets.values():
            socket.emit("unread")
        tasks.start_soon(runtime.drain, 0)
        await clock.advance(1.9)
        assert client.connection in runtime.connections
        await clock.advance(0.2)
        assert client.connection.closed
        assert program.log[-1][0] == "closed"
        client.transport.resume()
