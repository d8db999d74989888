"""Clients of real servers: how they get there, and what is said when they do not."""

from __future__ import annotations

import json
import re
import socket
from http import HTTPStatus

import pytest
from websockets.sync.client import connect
from websockets.sync.server import ServerConnection

from lbproto.load import Crowd, Dialect, LoadError, idle, plain, socketio
from tests.load.conftest import ROOM, speaking
from tests.load.peer import DIALECT, answering, peer
from tests.serving import ServerProcess


def sessions(server: ServerProcess) -> int:
    """How many sessions the app has, this one apart."""
    with connect(f"{server.ws}/ws", additional_headers={"Authorization": "token-0"}) as socket_:
        socket_.send('{"event":"look","id":1}')
        while (heard := json.loads(socket_.recv()))["event"] != "seen":
            pass
        count: int = heard["data"]["sessions"]
        return count - 1


def test_clients_connect_and_subscribe(server: ServerProcess, wire: str) -> None:
    told: list[int] = []
    with Crowd(server.ws, speaking(wire, "token-1"), 20, inflight=3, stalled=2) as crowd:
        connected = crowd.connect(told.append)
        assert connected.clients == 20
        assert connected.seconds > 0
        statistics = crowd.statistics()
        assert (statistics.connected, statistics.subscribed, statistics.stalled) == (20, 0, 0)
        assert told == sorted(told)
        assert told[-1] == 20
        assert len(told) > 20 // 3  # never more than three at a time
        assert sessions(server) == 20
        assert crowd.subscribe(ROOM).clients == 20
        statistics = crowd.statistics()
        assert (statistics.connected, statistics.subscribed, statistics.stalled) == (20, 20, 2)
        assert list(statistics.counts) == [0] * 18


def test_clients_are_users_of_their_own(server: ServerProcess, wire: str) -> None:
    """The room of a user lets nobody else in."""
    with Crowd(server.ws, speaking(wire), 3) as crowd:
        crowd.connect()
        crowd.subscribe([f"user:user-{number}" for number in range(3)])
        assert crowd.statistics().subscribed == 3


def test_those_who_leave_leave_nothing_behind(server: ServerProcess) -> None:
    with Crowd(server.ws, speaking("socketio", "token-1"), 5) as crowd:
        crowd.connect()
        assert sessions(server) == 5
    assert sessions(server) == 0


def test_a_url_with_a_path(server: ServerProcess) -> None:
    told = r"client 1 of 2, asking for a WebSocket: .*/nowhere: it does not let it in \(HTTP 403\)"
    with (
        Crowd(f"{server.http}/nowhere", speaking("socketio"), 2) as crowd,
        pytest.raises(LoadError, match=told),
    ):
        crowd.connect()


def test_a_token_that_is_refused(server: ServerProcess, wire: str) -> None:
    with (
        Crowd(server.ws, speaking(wire, "secret"), 3) as crowd,
        pytest.raises(LoadError, match=r"client \d of 3, being let in: the server refuses: ") as no,
    ):
        crowd.connect()
    assert "UNAUTHORIZED" in str(no.value)
    assert str(no.value).endswith("is the token right?")
    assert "secret" not in str(no.value)


def test_a_room_that_is_refused(server: ServerProcess, wire: str) -> None:
    told = r"client \d of 3, subscribing: the server refuses: .*NOT_FOUND.*is the room right\?"
    with Crowd(server.ws, speaking(wire), 3) as crowd:
        crowd.connect()
        with pytest.raises(LoadError, match=re.compile(told, re.DOTALL)):
            crowd.subscribe("nowhere")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "answers HTTP 200 OK: is the address"),
        (b"220 mail.example.org ESMTP\r\n", "it does not speak HTTP/1.1"),
        (b"", r"the connection was lost: does the server still run, and take so many\?"),
    ],
)
def test_a_server_that_is_no_websocket(answer: bytes, told: str) -> None:
    with (
        answering(answer) as url,
        Crowd(url, socketio("t"), 1) as crowd,
        pytest.raises(LoadError, match=f"client 1 of 1, asking for a WebSocket: .*{told}"),
    ):
        crowd.connect()


def test_a_server_that_takes_no_more() -> None:
    with (
        peer(lambda connection, number: None, HTTPStatus.SERVICE_UNAVAILABLE) as url,
        Crowd(url, DIALECT, 1) as crowd,
        pytest.raises(LoadError, match="wait, or take fewer"),
    ):
        crowd.connect()


def test_a_server_that_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}"
        told = "asking for a WebSocket: nothing has happened for"
        with (
            Crowd(url, socketio("t"), 1, patience=0.1) as crowd,
            pytest.raises(LoadError, match=told),
        ):
            crowd.connect()


def test_a_server_that_speaks_something_else(server: ServerProcess) -> None:
    """One that waits for another protocol's first words."""
    dialect = Dialect(path="/ws", opening=(("hello", None),))
    with (
        Crowd(server.ws, dialect, 1, patience=1.0) as crowd,
        pytest.raises(LoadError, match="client 1 of 1, being let in: nothing has happened"),
    ):
        crowd.connect()


def test_a_wire_that_the_server_does_not_speak() -> None:
    with (
        peer(lambda connection, number: None) as url,
        Crowd(url, plain("t"), 1) as crowd,
        pytest.raises(LoadError, match=r"does not speak lbproto\.v1\.json: choose another"),
    ):
        crowd.connect()


# A protocol of somebody else's


def speak(connection: ServerConnection, number: int) -> None:
    connection.send("hello")
    connection.send("something that nobody knows")
    assert str(connection.recv()).startswith("I am ")
    connection.send("welcome")
    for message in connection:
        connection.send("joined" if str(message) == "join all" else "no, not there")


def test_a_dialect_of_somebody_elses() -> None:
    with peer(speak) as url, Crowd(url, DIALECT, 4) as crowd:
        crowd.connect()
        crowd.subscribe("all")
        assert crowd.statistics().subscribed == 4


def test_a_refusal_in_it() -> None:
    with peer(speak) as url, Crowd(url, DIALECT, 1) as crowd:
        crowd.connect()
        with pytest.raises(LoadError, match="the server refuses: no, not there: is the room right"):
            crowd.subscribe("other")


def test_what_a_server_says_does_not_steer_a_terminal() -> None:
    def handle(connection: ServerConnection, number: int) -> None:
        connection.send("no\x1b]0;title\x07" + "x" * 300)
        connection.recv()

    with peer(handle) as url, Crowd(url, DIALECT, 1) as crowd, pytest.raises(LoadError) as no:
        crowd.connect()
    assert r"no\x1b]0;title\x07xxx" in str(no.value)
    assert "…: is the token right?" in str(no.value)


def test_a_server_that_closes() -> None:
    def handle(connection: ServerConnection, number: int) -> None:
        connection.send("hello")
        connection.close(1013, "too many")

    with peer(handle) as url, Crowd(url, DIALECT, 1) as crowd:
        told = r"being let in: the server closed the connection \(1013: too many\)"
        with pytest.raises(LoadError, match=told):
            crowd.connect()


def test_a_server_that_breaks_the_protocol() -> None:
    def handle(connection: ServerConnection, number: int) -> None:
        connection.socket.sendall(b"\x81\x81\x00\x00\x00\x00a")
        connection.recv()

    with (
        peer(handle) as url,
        Crowd(url, DIALECT, 1) as crowd,
        pytest.raises(LoadError, match="the server sends a masked frame: only clients"),
    ):
        crowd.connect()


# Holding


def test_heartbeats_are_answered_while_nothing_is_measured(brisk: ServerProcess) -> None:
    with Crowd(brisk.ws, speaking("socketio"), 3) as crowd:
        crowd.connect()
        idle(crowd, seconds=2.0)
        assert sessions(brisk) == 3


def _connect_and_wait(crowd: Crowd) -> None:
    crowd.connect()
    idle(crowd, seconds=5)


def test_it_is_told_who_went_while_nothing_was_measured() -> None:
    def handle(connection: ServerConnection, number: int) -> None:
        connection.send("hello")
        connection.send("welcome")
        if number == 1:
            connection.close(1001)
        else:
            connection.recv()
            connection.recv()

    with peer(handle) as url, Crowd(url, DIALECT, 2, inflight=1) as crowd:
        told = r"client 2 of 2, when connected: the server closed the connection \(code 1001\)"
        with pytest.raises(LoadError, match=told):
            _connect_and_wait(crowd)  # it may be told at any time of that


@pytest.mark.parametrize(("clients", "stalled", "inflight"), [(0, 0, 1), (5, 5, 1), (5, 0, 0)])
def test_numbers_that_make_no_crowd(clients: int, stalled: int, inflight: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Crowd("ws://localhost", DIALECT, clients, stalled=stalled, inflight=inflight)


def test_the_order_of_things() -> None:
    with Crowd("ws://localhost", DIALECT, 1) as crowd:
        with pytest.raises(RuntimeError, match="subscribe once all are connected"):
            crowd.subscribe("all")
        with pytest.raises(RuntimeError, match="connect before measuring"):
            crowd.count("<event>")
