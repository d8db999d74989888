"""Every example does what it says, served as its reader would serve it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.serving import free_port, serving

EXAMPLES = Path(__file__).parents[2] / "examples"
FROM_EXAMPLES = ("--app-dir", str(EXAMPLES))
FACTORY = (*FROM_EXAMPLES, "--factory")


def exchange(socket: ClientConnection, event: str, data: dict[str, Any]) -> dict[str, Any]:
    """Send a request; the frame that answers it."""
    socket.send(json.dumps({"event": event, "data": data, "id": 1}))
    while True:
        frame: dict[str, Any] = json.loads(socket.recv(timeout=60))
        if frame.get("re") == 1:
            assert isinstance(frame.pop("offset"), str)  # where a client resumes
            return frame


@contextmanager
def alice(address: str) -> Iterator[ClientConnection]:
    """A client that is connected as the examples' user."""
    with connect(f"{address}/ws", additional_headers={"authorization": "Bearer secret"}) as socket:
        assert json.loads(socket.recv(timeout=60))["event"] == "connected"
        yield socket


def test_primes_are_counted_step_by_step_or_not_to_the_end() -> None:
    with serving("primes:server.asgi", options=FACTORY) as server, alice(server.ws) as socket:
        socket.send(json.dumps({"event": "count_primes", "data": {"below": 5_000}, "id": 1}))
        frames = [json.loads(socket.recv(timeout=60))]
        while frames[-1]["event"] not in ("count_primes_completed", "count_primes_error"):
            frames.append(json.loads(socket.recv(timeout=60)))
        assert frames[0]["event"] == "count_primes_started"
        assert frames[-1]["data"]["primes"] == 669
        assert {frame["data"]["jobId"] for frame in frames} == {frames[0]["data"]["jobId"]}

        started = exchange(socket, "count_primes", {"below": 10**12})
        socket.send(json.dumps({"event": "cancel", "data": {"id": started["data"]["jobId"]}}))
        while (last := json.loads(socket.recv(timeout=60)))["event"] == "count_primes_progress":
            pass
        assert last["event"] == "count_primes_error"
        assert last["data"]["code"] == "CANCELLED"


def client_of(address: str, what: str) -> list[str]:
    """The command that runs the client of the examples, elsewhere than at its own address."""
    program = (
        f"import client, sys; sys.argv[1:] = [{what!r}]; client.URL = {address!r}; client.main()"
    )
    return [sys.executable, "-c", program]


def test_the_client_has_primes_counted_and_watches_the_ticker() -> None:
    with serving("primes:server.asgi", options=FACTORY) as server:
        command = client_of(server.ws, "count")
        counted = subprocess.run(command, cwd=EXAMPLES, capture_output=True, check=True, timeout=60)
        assert counted.stdout.splitlines()[-1] == b"5133 primes"
    with serving("ticker:server.asgi", options=FACTORY) as server:
        command = client_of(server.ws, "watch")
        with subprocess.Popen(command, cwd=EXAMPLES, stdout=subprocess.PIPE) as watching:
            assert watching.stdout is not None
            seen = [watching.stdout.readline().split() for _ in range(2)]
            watching.kill()
        (first, price), (second, newer) = seen
        assert first == second == b"ACME"
        assert int(newer) == int(price) + 1


def test_hello_answers_and_refuses() -> None:
    with serving("hello:server.asgi", options=FACTORY) as server, alice(server.ws) as socket:
        assert exchange(socket, "greet", {"name": "Bob"}) == {
            "event": "greeting",
            "data": {"text": "Hello Bob, from alice"},
            "re": 1,
        }
        # The README shows this refusal to the letter.
        assert exchange(socket, "greet", {"name": 5}) == {
            "event": "validation_error",
            "data": {
                "code": "INVALID_REQUEST",
                "message": "Expected `str`, got `int` - at `$.name`",
                "event": "greet",
            },
            "re": 1,
        }


def test_fastapi_host_tells_the_room_of_an_order() -> None:
    app = serving("fastapi_host:app", options=FROM_EXAMPLES)
    with app as server, alice(server.ws) as socket:
        assert exchange(socket, "subscribe", {"room": "orders"})["event"] == "subscribed"
        assert httpx.post(f"{server.http}/orders/ACME").json() == {"told": 1}
        placed = json.loads(socket.recv(timeout=60))
        assert placed["event"] == "order_placed"
        assert placed["data"] == {"orderId": 1, "symbol": "ACME"}


def test_ticker_shows_the_price_and_goes_on() -> None:
    app = serving("ticker:server.asgi", options=FACTORY)
    with app as server, alice(server.ws) as socket:
        assert exchange(socket, "subscribe", {"room": "ticks:ACME"})["event"] == "subscribed"
        ticks = [json.loads(socket.recv(timeout=60)) for _ in range(3)]
        assert {tick["event"] for tick in ticks} == {"tick"}
        first = ticks[0]["data"]["price"]
        assert [tick["data"]["price"] for tick in ticks] == [first, first + 1, first + 2]


def test_the_ticker_passes_its_own_tests(tmp_path: Path) -> None:
    for name in ("ticker.py", "test_ticker.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
    assert "9 passed" in run.stdout, run.stdout + run.stderr


def test_visits_are_counted_by_user_and_place() -> None:
    app = serving("visits:server.asgi", options=FACTORY)
    with app as server, alice(server.ws) as socket:
        visited = [exchange(socket, "visit", {"place": "rome"})["data"]["times"] for _ in "123"]
        assert visited == [1, 2, 3]
        assert exchange(socket, "visit", {"place": "paris"})["data"]["times"] == 1
        refused = exchange(socket, "visit", {"place": "atlantis"})
        assert refused["event"] == "error"
        assert refused["data"]["message"] == "There is no such place. Places: paris, rome"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("path", ["engine.io", "socket.io"])
def test_echo_servers_take_their_times_in_milliseconds(path: str, backend: str) -> None:
    port = free_port()
    script = EXAMPLES / f"{path.replace('.', '')}_echo.py"
    options = ["--ping-interval", "300", "--ping-timeout", "200", "--backend", backend]
    server = subprocess.Popen([sys.executable, script, "--port", str(port), *options])
    try:
        url = f"http://127.0.0.1:{port}/{path}/?EIO=4&transport=polling"
        with httpx.Client(transport=httpx.HTTPTransport(retries=10)) as client:
            told = json.loads(client.get(url).text[1:])
        assert (told["pingInterval"], told["pingTimeout"]) == (300, 200)
    finally:
        server.terminate()
        server.wait(60)


def test_draining_tells_its_clients_before_it_stops() -> None:
    port = free_port()
    command = [sys.executable, str(EXAMPLES / "draining.py"), "--port", str(port), "--drain", "0.5"]
    server = subprocess.Popen(command)
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=10)) as client:
            client.get(f"http://127.0.0.1:{port}/")
        with alice(f"ws://127.0.0.1:{port}") as one, alice(f"ws://127.0.0.1:{port}") as two:
            server.terminate()
            for socket in (one, two):
                told = json.loads(socket.recv(timeout=60))
                assert told["event"] == "server_draining"
                assert told["data"] == {"retryAfter": 1}
                with pytest.raises(ConnectionClosed) as closed:
                    socket.recv(timeout=60)
                assert closed.value.rcvd is not None
                assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (
                    1012,
                    "the server is stopping",
                )
    finally:
        server.terminate()
        server.wait(60)
