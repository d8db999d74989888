"""A server command that is told to stop with clients on it."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import ExitStack

import anyio
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from lbproto import Server, StaticTokens
from lbproto.cli.draining import drain
from lbproto.connection.plain import PlainConnection
from lbproto.testing import VirtualClock, settle
from lbproto.wire import Peer
from lbproto.wire.plain import PLAIN_JSON
from tests.cli.commands import SECONDS, running
from tests.cli.conftest import Main
from tests.core.harness import MemoryTransport

LONG = str(2 * SECONDS)  # nobody here waits for the end of it
ALICE = {"authorization": "Bearer demo-alice"}


def until(client: ClientConnection, event: str) -> object:
    """The payload of the next such event."""
    while True:
        frame = json.loads(client.recv(timeout=SECONDS))
        if frame["event"] == event:
            return frame["data"]


def close_code(client: ClientConnection) -> int | None:
    """How the server closes it."""
    try:
        while True:
            client.recv(timeout=SECONDS)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def test_the_port_is_free_while_it_drains_and_a_second_ctrl_c_ends_it() -> None:
    with running("demo", "--drain", LONG) as server, ExitStack() as stack:
        clients = [
            stack.enter_context(connect(f"{server.url}/ws", additional_headers=ALICE))
            for _ in range(3)
        ]
        for client in clients:
            until(client, "connected")
        server.signal(signal.SIGTERM)
        told = [until(client, "server_draining") for client in clients]
        assert {*map(str, told)} == {f"{{'retryAfter': {wait}}}" for wait in (1, 80, 160)}
        with running("demo", port=server.port) as successor:
            assert server.runs
            with connect(f"{successor.url}/ws", additional_headers=ALICE) as newcomer:
                until(newcomer, "connected")
            server.signal(signal.SIGINT)
            assert [close_code(client) for client in clients] == [1012] * 3
            done = server.finish()
        assert (done.code, done.err) == (0, "")
        assert "draining" not in done.out  # that is for a person at a terminal


def test_it_waits_for_nobody_where_nobody_is_connected() -> None:
    with running("demo", "--drain", LONG) as server:
        done = server.stop(signal.SIGTERM)
        assert (done.code, done.err) == (0, "")


def test_the_time_is_not_negative(run_here: Main) -> None:
    done = run_here("demo", "--drain", "-1")
    assert done.code == 2
    assert "--drain" in done.err


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize("hurry", [True, False])
@pytest.mark.anyio
async def test_a_person_sees_how_many_are_left(
    terminal: bool,
    hurry: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    monkeypatch.setenv("TERM", "xterm")
    clock = VirtualClock()
    server = Server(auth=StaticTokens({"secret": "alice"}), clock=clock)
    hurried = False

    async def drained() -> None:
        await drain(server, 10, lambda: hurried)

    async with server.lifespan():
        for _ in range(4):
            transport = MemoryTransport()
            connection = PlainConnection(
                server.runtime, Peer(), transport, server.sessions, PLAIN_JSON, "secret"
            )
            await connection.work()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(drained)
            await clock.advance(6)
            assert len(server.runtime.connections) == 1
            hurried = hurry
            await clock.advance(0.1 if hurry else 10)
        assert len(server.runtime.connections) == hurry
        await settle()
    shown = capsys.readouterr().out
    assert ("draining: 1 of 4 left" in shown) is terminal
