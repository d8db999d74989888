from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from threading import Thread

import pytest
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

from lbproto.cli import requests
from lbproto.cli.client import Heard, default_token
from lbproto.client import Bounds
from tests.cli.commands import Done, Running, run
from tests.cli.conftest import Main

CANDLES = '{"symbol": "ETH-USDT", "resolution": "5s"}'


def test_a_request_that_is_answered(demo: Running) -> None:
    done = run("call", "request_market_data", CANDLES, "--url", demo.url)
    title, header, _, *candles = done.out.splitlines()
    assert title == "market_data_response  symbol=ETH-USDT"
    assert header.split() == ["timestamp", "open", "high", "low", "close", "volume"]
    assert len(candles) == 100
    assert "\x1b" not in done.out
    assert (done.code, done.err) == (0, "")


def test_a_request_that_is_refused(demo: Running) -> None:
    request = '{"symbol": "DOGE", "resolution": "1m"}'
    done = run("call", "request_market_data", request, "--url", demo.url, "--json")
    assert (done.code, done.err) == (1, "")
    message = "no symbol 'DOGE'; there are: ETH-USDT"
    assert done.lines == [
        {
            "event": "market_data_error",
            "data": {"code": "NOT_FOUND", "message": message, "symbol": "DOGE"},
            "re": 1,
        }
    ]


def test_all_events_that_answer_are_printed(run_here: Main, demo: Running) -> None:
    room = '{"room": "market:ETH-USDT:1s"}'
    done = run_here("call", "subscribe", room, "--url", demo.url, "--json")
    assert [line["event"] for line in done.lines] == ["subscribed", "market_chart_initial_data"]
    assert done.code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ping",), "pong  timestamp=2"),
        (("nope",), "validation_error  code=INVALID_REQUEST  message=There is no event 'nope'"),
        (("subscribe", '{"room": 5}'), "message=Expected `str`, got `int` - at `$.room`"),
        (("subscribe", '{"room": "user:bob"}'), "error  code=UNAUTHORIZED  message=This is"),
    ],
)
def test_plain_text_names_the_event_first(
    run_here: Main, demo: Running, arguments: tuple[str, ...], told: str
) -> None:
    done = run_here("call", *arguments, "--url", demo.url)
    assert told in done.out
    assert done.out.count("\n") == 1
    assert done.code == (0 if "pong" in told else 1)


def test_the_token_comes_from_the_environment(
    run_here: Main, demo: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LBPROTO_TOKEN", "Bearer demo-carol")
    assert run_here("call", "subscribe", '{"room": "user:carol"}', "--url", demo.url).code == 0


@pytest.mark.parametrize("ending", ["", "/", "/ws", "/ws/"])
def test_the_address_may_name_the_path(run_here: Main, demo: Running, ending: str) -> None:
    url = demo.url.replace("ws://", "http://")
    assert run_here("call", "ping", "--url", f"{url}{ending}").code == 0


def failure(done: Done) -> str:
    """The one sentence that a command failed with."""
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("lbproto: ")
    return done.err


@pytest.mark.parametrize("token", ["", "secret"])
def test_a_token_that_is_missing_or_refused(run_here: Main, demo: Running, token: str) -> None:
    told = failure(run_here("call", "ping", "--token", token, "--url", demo.url))
    assert "the server refuses the token (the demo takes any token demo-<name>" in told
    assert "--token or in LBPROTO_TOKEN" in told
    assert "secret" not in told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("call", "ping", "{room: 5}"), "the payload is not JSON (JSON is malformed"),
        (("call", "ping", "--url", "localhost:8091"), "'localhost:8091' is not a server address"),
        (("call", "ping", "--url", "ws://"), "'ws://' is not a server address"),
        (("call", "ping", "--url", "ws://h:99999"), "'ws://h:99999' is not a server address"),
        (("call", "ping", "--url", "ws://127.0.0.1:1"), "nothing listens at ws://127.0.0.1:1/ws"),
        (("call", "ping", "--url", "ws://no.such.invalid"), "cannot connect to ws://no.such"),
    ],
)
def test_what_cannot_be_sent_is_told(run_here: Main, arguments: tuple[str, ...], told: str) -> None:
    assert told in failure(run_here(*arguments))


@contextmanager
def peer(
    handle: Callable[[ServerConnection], None], status: HTTPStatus | None = None
) -> Iterator[str]:
    """The address of a websocket server that is not lbproto's."""

    def refuse(connection: ServerConnection, request: Request) -> Response | None:
        return None if status is None else connection.respond(status, "")

    server: Server
    spoken = [Subprotocol("lbproto.v1.json")]
    with serve(handle, "127.0.0.1", 0, process_request=refuse, subprotocols=spoken) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (HTTPStatus.NOT_FOUND, "answers HTTP 404: name an lbproto server with --url"),
        (HTTPStatus.SERVICE_UNAVAILABLE, "takes no new connections now: try again later"),
    ],
)
def test_a_server_that_takes_no_websocket(run_here: Main, status: HTTPStatus, told: str) -> None:
    with peer(lambda connection: None, status) as url:
        assert told in failure(run_here("call", "ping", "--url", url))


def test_a_server_that_speaks_something_else(run_here: Main) -> None:
    def handle(connection: ServerConnection) -> None:
        connection.send("hello")
        for _ in connection:
            pass

    with peer(handle) as url:
        assert "does not speak lbproto" in failure(run_here("call", "ping", "--url", url))


def test_a_server_that_closes(run_here: Main) -> None:
    def handle(connection: ServerConnection) -> None:
        greeting = {"userId": "u", "sid": "s", "timestamp": "2026-01-20T12:00:00.000Z"}
        connection.send(json.dumps({"event": "connected", "data": greeting}))
        connection.close(1012, "maintenance")

    with peer(handle) as url:
        told = failure(run_here("call", "ping", "--url", url))
    assert "closed the connection (1012: maintenance): try again" in told


def test_a_connection_that_is_lost(run_here: Main) -> None:
    def handle(connection: ServerConnection) -> None:
        connection.recv()
        connection.socket.close()

    with peer(handle) as url:
        assert "was lost: try again" in failure(run_here("call", "ping", "--url", url))


def test_a_server_that_stays_silent(run_here: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BOUNDS", Bounds(open_timeout=1, close_timeout=0.1))

    def handle(connection: ServerConnection) -> None:
        for _ in connection:
            pass

    with peer(handle) as url:
        assert "does not speak lbproto" in failure(run_here("call", "ping", "--url", url))


def test_a_peer_that_is_no_web_server(run_here: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BOUNDS", Bounds(open_timeout=0.1, close_timeout=0.1))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}"
        assert "does not answer" in failure(run_here("call", "ping", "--url", url))


def test_the_default_token_says_who_is_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "zoe")
    assert default_token() == "demo-zoe"

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert default_token() == "demo-guest"


def test_a_refused_default_token_is_shown(
    run_here: Main, demo: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "x" * 65  # longer than what the demo takes
    monkeypatch.setenv("LOGNAME", name)
    assert f"refuses the token demo-{name} (" in failure(
        run_here("call", "ping", "--url", demo.url)
    )


def test_too_few_credits_are_a_refusal() -> None:
    assert Heard("insufficient_credits", {"required": 5, "available": 2}).refusal
    assert not Heard("credits_granted", {"amount": 5}).refusal
    assert not Heard("odd", "text").refusal
