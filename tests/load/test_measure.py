"""Measurements of real servers: nothing that is lost goes unnoticed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from threading import Barrier, Event
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection

from lbproto.load import (
    Crowd,
    FanOut,
    LoadError,
    Progress,
    Requests,
    ServerProcess,
    fan_out,
    listen,
    paced,
    requests,
)
from lbproto.load import measure as measure_module
from tests import serving
from tests.load.conftest import ROOM, speaking
from tests.load.peer import DIALECT, peer

CLIENTS = 12
SECONDS, WARM = 0.4, 0.2  # of the measurements


def subscribed(server: serving.ServerProcess, wire: str, *, stalled: int = 0) -> Crowd:
    """Clients in their room."""
    crowd = Crowd(server.ws, speaking(wire, "token-1"), CLIENTS, stalled=stalled)
    crowd.connect()
    crowd.subscribe(ROOM)
    return crowd


@pytest.mark.parametrize("events", [1, 7])
def test_every_delivery_is_counted(server: serving.ServerProcess, wire: str, events: int) -> None:
    with subscribed(server, wire) as crowd:
        result = fan_out(crowd, events=events, window=2, seconds=SECONDS, warm=WARM)
        assert result.triggers >= 2
        assert result.events == events
        assert result.clients == CLIENTS
        assert result.expected == result.triggers * events * CLIENTS
        assert result.deliveries == result.expected
        assert (result.fewest, result.most) == (result.triggers * events,) * 2
        assert (result.lost, result.surplus) == (0, 0)
        assert result.seconds >= SECONDS
        assert result.server is None
        assert result.generator > 0
        assert result.samples > 0
        assert result.p50 is not None
        assert result.p90 is not None
        assert result.p99 is not None
        assert result.max is not None
        assert 0 < result.p50 <= result.p90 <= result.p99 <= result.max < 10_000
        # What came while it warmed up is known too, and not in the result.
        assert min(crowd.statistics().counts) > result.most


def test_a_crowd_is_measured_as_often_as_needed(server: serving.ServerProcess) -> None:
    with subscribed(server, "socketio") as crowd:
        for measured in (
            fan_out(crowd, seconds=SECONDS, warm=WARM),
            paced(crowd, rate=50, seconds=SECONDS, warm=WARM),
        ):
            assert measured.deliveries == measured.expected > 0
        assert requests(crowd, seconds=SECONDS, warm=WARM).requests > 0
        again = fan_out(crowd, seconds=SECONDS, warm=WARM)
        assert again.deliveries == again.expected > 0


def test_rooms_are_asked_for_in_turn(server: serving.ServerProcess) -> None:
    with Crowd(server.ws, speaking("plain", "token-1"), CLIENTS) as crowd:
        crowd.connect()
        crowd.subscribe([f"load:{number}" for number in range(5)])  # 3, 3, 2, 2, 2 clients
        assert sorted(crowd.population.values()) == [2, 2, 2, 3, 3]
        result = fan_out(crowd, seconds=SECONDS, warm=WARM)
    assert result.deliveries == result.expected
    assert (result.lost, result.surplus) == (0, 0)
    assert result.most - result.fewest in (0, 1)
    assert result.triggers // 5 == result.fewest


def test_events_come_at_a_rate(server: serving.ServerProcess, wire: str) -> None:
    with subscribed(server, wire) as crowd:
        result = paced(crowd, rate=40, events=2, seconds=1.0, warm=0)
    assert 20 <= result.triggers <= 41
    assert result.deliveries == result.triggers * 2 * CLIENTS
    assert result.samples > CLIENTS  # each piece is looked at
    assert result.p50 is not None


def test_without_a_moment_in_events_there_is_no_delay(server: serving.ServerProcess) -> None:
    with Crowd(server.ws, speaking("socketio", "token-1", timestamp=""), 2) as crowd:
        crowd.connect()
        crowd.subscribe(ROOM)
        result = paced(crowd, rate=50, seconds=SECONDS, warm=WARM)
    assert (result.p50, result.p90, result.p99, result.max) == (None,) * 4
    assert (result.samples, result.histogram) == (0, ())


def test_those_who_do_not_read_are_none_of_the_others_business(
    server: serving.ServerProcess,
) -> None:
    with subscribed(server, "socketio", stalled=3) as crowd:
        result = fan_out(crowd, events=20, seconds=SECONDS, warm=WARM)
        assert result.clients == CLIENTS - 3
        assert result.deliveries == result.expected == result.triggers * 20 * (CLIENTS - 3)


@pytest.mark.parametrize("depth", [1, 5])
def test_requests_are_counted(server: serving.ServerProcess, wire: str, depth: int) -> None:
    with Crowd(server.ws, speaking(wire, "token-1"), 4) as crowd:
        crowd.connect()
        result = requests(crowd, depth=depth, seconds=SECONDS, warm=WARM)
    assert result.requests >= 4 * depth
    assert result.depth == depth
    assert result.clients == 4
    assert 0 < result.fewest <= result.most
    assert result.samples == result.requests
    assert result.p50 is not None


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_the_server_is_measured_too(server: serving.ServerProcess) -> None:
    process = ServerProcess.listening(server.port)
    with Crowd(server.ws, speaking("plain", "token-1"), CLIENTS, process=process) as crowd:
        crowd.connect()
        crowd.subscribe(ROOM)
        result = fan_out(crowd, seconds=SECONDS, warm=WARM)
        assert result.server is not None
        assert result.cpu_us is not None
        assert result.cpu_us * result.deliveries == pytest.approx(result.server.on_cpu * 1e6)
        assert 0 < result.server.on_cpu < result.seconds * 4
        assert result.server.resident > 1 << 20
        answers = requests(crowd, seconds=SECONDS, warm=WARM)
        assert answers.cpu_us is not None


def test_heartbeats_are_answered_amid_events(brisk: serving.ServerProcess, wire: str) -> None:
    """Both kinds: whoever leaves one unanswered is closed within two seconds."""
    with subscribed(brisk, wire) as crowd:
        result = fan_out(crowd, seconds=2.0, warm=0)
        assert result.deliveries == result.expected
        assert listen(crowd, seconds=2.0).deliveries == 0
    assert "keepalive ping timeout" not in brisk.log


def test_progress_is_told(server: serving.ServerProcess) -> None:
    told: list[Progress] = []
    with subscribed(server, "plain") as crowd:
        result = fan_out(crowd, seconds=1.0, warm=0.6, progress=told.append)
    warming, measuring = ([one for one in told if one.warm is warm] for warm in (False, True))
    assert [one.of for one in (*warming[:1], *measuring[:1])] == [0.6, 1.0]
    assert 0 < measuring[-1].done <= result.deliveries
    assert [one.seconds for one in measuring] == sorted(one.seconds for one in measuring)


@pytest.mark.parametrize("measure", [fan_out, paced, requests, listen])
def test_it_may_be_stopped(server: serving.ServerProcess, measure: Callable[..., object]) -> None:
    """Then the result is of what has come, and it is complete."""
    with subscribed(server, "plain") as crowd:
        result = measure(crowd, seconds=3600, progress=lambda _: crowd.stop())
    assert getattr(result, "lost", 0) == 0
    assert getattr(result, "expected", 0) == getattr(result, "deliveries", 0)


# What goes wrong


def test_a_server_that_dies(wire: str) -> None:
    lost = r"(client \d+ of 12, when subscribed|the publisher, when connected): the connection was"
    with (
        serving.serving("tests.load.app:app", "uvicorn-direct") as server,
        subscribed(server, wire) as crowd,
        pytest.raises(LoadError, match=lost),
    ):
        fan_out(crowd, seconds=60, progress=lambda _: server.kill())


def test_a_server_that_refuses_to_publish(server: serving.ServerProcess, wire: str) -> None:
    with Crowd(server.ws, speaking(wire, "token-1", publish="drown"), 2) as crowd:
        crowd.connect()
        crowd.subscribe(ROOM)
        told = "the publisher, when connected: the server refuses: .*drown"
        with pytest.raises(LoadError, match=told):
            fan_out(crowd, seconds=SECONDS, warm=WARM)


def test_a_server_that_refuses_a_request(server: serving.ServerProcess, wire: str) -> None:
    with Crowd(server.ws, speaking(wire, "token-1", request="shout"), 2) as crowd:
        crowd.connect()
        told = r"client \d of 2, when connected: the server refuses: .*shout"
        with pytest.raises(LoadError, match=told):
            requests(crowd, seconds=SECONDS, warm=WARM)


Publish = Callable[[list[ServerConnection], int], None]


def room(publish: Publish) -> Callable[[ServerConnection, int], None]:
    """A room in a server of somebody else's, in which `publish` does what it is asked."""
    members: list[ServerConnection] = []

    def handle(connection: ServerConnection, number: int) -> None:
        connection.send("hello")
        connection.recv()
        connection.send("welcome")
        with suppress(ConnectionClosed):
            for message in connection:
                if str(message).startswith("join"):
                    members.append(connection)
                    connection.send("joined")
                elif str(message).startswith("send"):
                    publish(members, int(str(message).split()[1]))
                else:
                    publish([connection], 1)

    return handle


def measured(
    publish: Publish, measure: Callable[[Crowd], FanOut | Requests], patience: float = 20.0
) -> Any:
    with peer(room(publish)) as url, Crowd(url, DIALECT, 3, inflight=1) as crowd:
        crowd.connect()
        crowd.subscribe("all")
        crowd.patience = patience
        return measure(crowd)


def everybody(members: list[ServerConnection], count: int) -> None:
    for member in members:
        for _ in range(count):
            member.send("<event>")


def test_a_room_of_somebody_elses() -> None:
    result = measured(everybody, lambda crowd: fan_out(crowd, events=3, seconds=SECONDS, warm=WARM))
    assert result.deliveries == result.expected > 0


def test_deliveries_that_never_come_are_told() -> None:
    def forget(members: list[ServerConnection], count: int) -> None:
        everybody(members, count // 2)
        everybody(members[1:], count // 2)

    told = (
        r"nothing has come for 1 s: 10 of 12 have arrived, between 2 and 4 a client\. "
        r"The publisher last heard welcome\. Does the server send each event to everybody"
    )
    with pytest.raises(LoadError, match=told):
        measured(
            forget, lambda crowd: fan_out(crowd, events=4, window=1, seconds=5, warm=0), patience=1
        )


def test_deliveries_that_nobody_asked_for_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure_module, "_STRAY_SECONDS", 1.5)

    def late(members: list[ServerConnection], count: int) -> None:
        everybody(members, count)
        Event().wait(0.5)  # everything that was asked for has come
        members[0].send("<event>")

    result = measured(late, lambda crowd: paced(crowd, rate=1, seconds=0.3, warm=0))
    assert (result.triggers, result.surplus, result.lost) == (1, 1, 0)
    assert (result.deliveries, result.expected) == (4, 3)
    assert (result.fewest, result.most) == (1, 2)


def test_a_server_that_closes_in_the_middle() -> None:
    def give_up(members: list[ServerConnection], count: int) -> None:
        everybody(members, count)
        members[1].close(1012, "maintenance")

    told = r"client 2 of 3, when subscribed: the server closed the connection \(1012: maintenance\)"
    with pytest.raises(LoadError, match=told):
        measured(give_up, lambda crowd: fan_out(crowd, seconds=5, warm=0))


def test_more_answers_than_requests() -> None:
    def twice(members: list[ServerConnection], count: int) -> None:
        members[0].send("<answer><answer>")

    with pytest.raises(LoadError, match="it has more answers than requests"):
        measured(twice, lambda crowd: requests(crowd, seconds=SECONDS, warm=WARM))


# A server that publishes by itself


class Publishing:
    """Sends to each of the clients as many events, in rounds, once the crowd listens."""

    def __init__(self, rounds: list[list[int]]) -> None:
        self._rounds = rounds
        self._listened = Event()
        self._sent = Barrier(len(rounds[0]) + 1)

    def handle(self, connection: ServerConnection, number: int) -> None:
        connection.send("hello")
        connection.send("welcome")
        for _ in ("I am", "join"):
            connection.recv()
        connection.send("joined")
        self._listened.wait()
        for counts in self._rounds:
            for _ in range(counts[number]):
                connection.send("<event>")
        self._sent.wait()
        with suppress(ConnectionClosed):
            connection.recv()

    def heard_by(self, crowd: Crowd) -> FanOut:
        """Have the crowd listen, until a moment after all was sent."""

        def listens(_: Progress) -> None:
            if self._listened.is_set():
                crowd.stop()
            else:
                self._listened.set()
                self._sent.wait()

        return listen(crowd, seconds=60, progress=listens)


@pytest.mark.parametrize(
    ("rounds", "deliveries", "lost"),
    [
        ([[2, 2, 2], [1, 1, 1]], 9, 0),
        ([[2, 2, 2], [1, 0, 1]], 8, 1),
        ([[0, 0, 0]], 0, 0),
    ],
)
def test_clients_are_compared(
    rounds: list[list[int]], deliveries: int, lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure_module, "_CATCH_UP_SECONDS", 0.1)
    publishing = Publishing(rounds)
    with peer(publishing.handle) as url, Crowd(url, DIALECT, 3, inflight=3) as crowd:
        crowd.connect()
        crowd.subscribe("all")
        result = publishing.heard_by(crowd)
    assert (result.deliveries, result.lost) == (deliveries, lost)
    assert result.expected == deliveries + lost
    assert result.most - result.fewest == lost
    assert (result.triggers, result.events) == (0, 0)


def test_what_is_under_way_at_the_end_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second client gets its event when the time is long up."""
    monkeypatch.setattr(measure_module, "_CATCH_UP_SECONDS", 20.0)
    listened = Event()

    def handle(connection: ServerConnection, number: int) -> None:
        connection.send("hello")
        connection.recv()
        connection.send("welcome")
        connection.recv()
        connection.send("joined")
        listened.wait()
        Event().wait(number)
        with suppress(ConnectionClosed):
            connection.send("<event>")
            connection.recv()

    with peer(handle) as url, Crowd(url, DIALECT, 2) as crowd:
        crowd.connect()
        crowd.subscribe("all")
        result = listen(crowd, seconds=0.5, progress=lambda _: listened.set())
    assert (result.deliveries, result.lost) == (2, 0)


# What cannot be measured


def test_what_a_dialect_does_not_say() -> None:
    with Crowd("ws://localhost", speaking("plain", publish="", request=""), 1) as crowd:
        with pytest.raises(ValueError, match="does not say how one publishes"):
            fan_out(crowd)
        with pytest.raises(ValueError, match="does not say what is asked"):
            requests(crowd)


def test_somebody_has_to_hear_it(server: serving.ServerProcess) -> None:
    with Crowd(server.ws, speaking("plain"), 1) as crowd:
        crowd.connect()
        with pytest.raises(RuntimeError, match="subscribe before measuring"):
            fan_out(crowd)
