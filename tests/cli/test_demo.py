from __future__ import annotations

import json
import re
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import duckdb
import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from lbproto import Plugin, Server
from lbproto.cli import demo as demo_module
from lbproto.cli.address import Address
from lbproto.cli.demo import DemoTokens, Replay, demo_server
from lbproto.cli.welcome import welcome_to_demo
from tests.cli.commands import SECONDS, Running, run, running
from tests.cli.conftest import Main

TRADES = """timestamp_ms,id,side,price,amount
1675329600000,1,buy,1600.5,1
1675329601000,2,sell,1601,2
1675329660000,3,buy,1602.25,0.5
"""


@pytest.fixture
def trades(tmp_path: Path) -> Path:
    file = tmp_path / "trades.csv"
    file.write_text(TRADES)
    return file


def test_it_says_what_it_shows_and_where(demo: Running) -> None:
    assert "recorded trades of ETH-USDT" in demo.welcome
    assert "looped and moved to now" in demo.welcome
    assert "no live prices" in demo.welcome
    assert f"Contract    http{demo.url.removeprefix('ws')}/asyncapi.json\n" in demo.welcome
    assert "Token       demo-alice" in demo.welcome
    assert f'io("{demo.url}", {{' in demo.welcome
    assert "\x1b" not in demo.welcome


def test_the_line_to_try_works(demo: Running) -> None:
    match = re.search(r"lbproto (listen .*)$", demo.welcome, re.MULTILINE)
    assert match is not None
    done = run(*shlex.split(match[1]), "--json", "--count", "3")
    assert [line["event"] for line in done.lines] == [
        "subscribed",
        "market_chart_initial_data",
        "market_chart_live_update",
    ]
    newest = datetime.fromisoformat(done.lines[1]["data"]["series"][-1]["timestamp"])
    assert datetime.now(UTC) - newest < timedelta(minutes=5)


def test_everyone_has_credits_to_try(demo: Running) -> None:
    options = ("--url", demo.url, "--token", "demo-thrifty", "--json")
    (echoed,) = run("call", "demo_echo", '{"text": "hello, world"}', *options).lines
    assert echoed["data"] == {"text": "hello, world"}
    (balance,) = run("call", "credits_balance", *options).lines
    assert (balance["data"]["balance"], balance["data"]["lifetimeEarned"]) == (98, 100)
    refused = run("call", "demo_echo", json.dumps({"text": "x" * 980}), *options)
    assert refused.code == 1
    assert refused.lines[0]["data"] == {"required": 99, "available": 98, "action": "demo_echo"}


@pytest.mark.parametrize("prefix", ["", "Bearer ", "bearer "])
def test_any_demo_token_is_its_user(demo: Running, prefix: str) -> None:
    with connect(f"{demo.url}/ws") as socket_:
        socket_.send(json.dumps({"event": "authenticate", "data": {"token": f"{prefix}demo-Zoë"}}))
        assert json.loads(socket_.recv(timeout=SECONDS))["data"]["userId"] == "Zoë"


def test_a_large_message_ends_at_the_server(demo: Running) -> None:
    with connect(f"{demo.url}/ws") as socket_:
        assert socket_.response is not None
        assert "sec-websocket-extensions" not in socket_.response.headers
        socket_.send("x" * 1_000_001)
        with pytest.raises(ConnectionClosed) as closed:
            socket_.recv(timeout=SECONDS)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009


def test_it_stops_at_once_and_answers_waiting_polls() -> None:
    with (
        running("demo") as server,
        httpx.Client(timeout=SECONDS) as client,
        ThreadPoolExecutor() as pool,
    ):
        url = f"{server.url.replace('ws', 'http', 1)}/socket.io/?EIO=4&transport=polling"
        url += f"&sid={json.loads(client.get(url).text[1:])['sid']}"
        client.post(url, content='40{"token":"demo-alice"}')
        while "connected" not in client.get(url).text:
            pass
        poll = pool.submit(client.get, url)
        with connect(f"{server.url}/ws") as listener:
            done = server.stop(signal.SIGINT)
            with pytest.raises(ConnectionClosed) as closed:
                listener.recv(timeout=SECONDS)
        draining = r'42\["server_draining",\{"retryAfter":1\},"[^"]+"\]'
        assert re.fullmatch(draining, poll.result().text)  # no heartbeat with it, up to 25 s later
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(
    ("ending", "speed", "told"),
    [
        ("csv", "100000", "100000 times as fast"),
        ("parquet", "max", "at full speed"),
    ],
)
def test_a_file_is_replayed_at_its_recorded_times(
    run_here: Main, trades: Path, ending: str, speed: str, told: str
) -> None:
    file = trades.with_suffix(f".{ending}")
    if ending == "parquet":
        duckdb.sql(f"COPY (FROM read_csv('{trades}')) TO '{file}' (FORMAT parquet)")
    with running("demo", "--replay", str(file), "--symbol", "ACME", "--speed", speed) as server:
        assert f"{file.name}), at their recorded times, {told}" in server.welcome
        request = '{"symbol": "ACME", "resolution": "1m"}'
        done = run_here("call", "request_market_data", request, "--url", server.url)
        while len(done.out.splitlines()) < 5:  # it has started, and may not have come to the end
            done = run_here("call", "request_market_data", request, "--url", server.url)
    assert [line.split() for line in done.out.splitlines()[3:]] == [
        ["2023-02-02T09:20:00.000Z", "1600.50", "1601.00", "1600.50", "1601.00", "3.0"],
        ["2023-02-02T09:21:00.000Z", "1602.25", "1602.25", "1602.25", "1602.25", "0.5"],
    ]


def test_a_port_in_use(run_here: Main, demo: Running) -> None:
    done = run_here("demo", "--port", str(demo.port))
    assert (done.code, done.out) == (2, "")
    port = demo.port
    assert done.err == (
        f"lbproto: port {port} is in use: stop what listens there, or choose another with --port\n"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--symbol", "DOGE-USDT"), "name it with --replay FILE"),
        (("--speed", "max"), "name it with --replay FILE"),
        (("--replay", "{file}"), "--replay needs --symbol"),
        (("--replay", "{file}", "--symbol", "A:B"), "no symbol has one: ['A:B']"),
        (("--replay", "{file}", "--symbol", "A", "--speed", "fast"), "not 'fast'"),
        (("--replay", "{file}", "--symbol", "A", "--speed", "-1"), "not -1.0"),
        (("--replay", "nowhere.csv", "--symbol", "A"), "nowhere.csv: No such file or directory"),
        (("--replay", "/", "--symbol", "A"), "cannot read /: Is a directory"),
        (("--replay", "{odd}", "--symbol", "A"), "is not a CSV file with the columns timestamp_ms"),
        (("--replay", "{empty}", "--symbol", "A"), "has no trades"),
        (("--replay", "{gz}", "--symbol", "A"), "{gz}: Not a gzipped file"),
        (("--host", "192.0.2.1"), "'192.0.2.1' is not an address of this machine"),
        (("--host", "no.such.name.invalid"), "is not an address of this machine"),
    ],
)
def test_what_keeps_it_from_starting_is_one_sentence(
    run_here: Main, tmp_path: Path, trades: Path, arguments: Sequence[str], told: str
) -> None:
    files = {"file": trades, "odd": tmp_path / "odd.csv", "empty": tmp_path / "empty.csv"}
    files["gz"] = tmp_path / "odd.csv.gz"
    files["odd"].write_text("a,b\n1,2\n")
    files["empty"].write_text(TRADES.partition("\n")[0])
    files["gz"].write_text(TRADES)
    given = [argument.format(**files) for argument in arguments]
    done = run_here("demo", "--port", "0", *given)
    assert (done.code, done.out) == (2, "")
    assert told.format(**files) in done.err
    assert done.err.startswith("lbproto: ")
    assert done.err.count("\n") == 1


class Entry(NamedTuple):
    """An entry point of some other distribution."""

    name: str
    factory: Callable[[], Plugin]
    module: str = "elsewhere"
    value: str = "elsewhere:factory"

    def load(self) -> Callable[[], Plugin]:
        return self.factory


def broken() -> Plugin:
    raise ImportError("no such library")


def test_every_installed_plugin_is_served(
    run_here: Main, monkeypatch: pytest.MonkeyPatch, trades: Path
) -> None:
    other = Entry("other", lambda: Plugin("other"))
    monkeypatch.setattr(
        demo_module, "entry_points", lambda group: [other] if group == "lbproto.plugins" else []
    )
    names = [plugin.name for plugin in demo_server(Replay()).plugins]
    assert names == ["system", "other", "demo"]
    assert run_here("events").code == 0
    replay = ("--replay", str(trades), "--symbol", "ACME")
    assert "the demo needs plugins: pip install 'lbproto[demo]'" in run_here("demo", *replay).err


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        ([], "the demo needs plugins: pip install 'lbproto[demo]'"),
        ([Entry("x", broken)], "the plugin 'x' (elsewhere:factory) fails: see above"),
        ([Entry(name, lambda: Plugin("same")) for name in "ab"], "two plugins are called 'same'"),
    ],
)
def test_plugins_that_do_not_make_a_demo(
    run_here: Main, monkeypatch: pytest.MonkeyPatch, entries: list[Entry], told: str
) -> None:
    monkeypatch.setattr(demo_module, "entry_points", lambda group: entries)
    done = run_here("demo")
    assert done.code == 2
    assert told in done.err.splitlines()[-1]


def test_the_welcome_at_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    welcome_to_demo(demo_server(Replay()), "ws://localhost:8091")
    shown = capsys.readouterr().out
    assert "Press Ctrl-C to stop" in shown
    assert "uv run lbproto listen market:ETH-USDT --token demo-alice\n" in shown
    welcome_to_demo(Server(auth=DemoTokens()), "ws://[::1]:9000")
    assert "lbproto listen user:alice --token demo-alice --url 'ws://[::1]:9000'" in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "ws://localhost:"),  # noqa: S104 - nothing listens
        ("127.0.0.1", "ws://127.0.0.1:"),
    ],
)
def test_the_address_is_one_that_leads_here(host: str, url: str) -> None:
    with closing(Address(host, 0)) as address:
        assert address.url == f"{url}{address.port}"
