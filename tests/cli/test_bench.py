from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lbproto.cli.figures import Figures
from lbproto.load import Connected, FanOut, Requests, Usage
from tests.cli.commands import SECONDS, Running, command, environment, run
from tests.cli.conftest import Main
from tests.serving import ServerProcess, serving

FLOOD = ("--room", "load:all", "--publish", "flood", "--event", "tick", "--token", "token-1")
BRIEF = ("--clients", "6", "--seconds", "0.3", "--warm", "0.1")


@pytest.fixture(scope="module")
def app() -> Iterator[ServerProcess]:
    with serving("tests.load.app:app", "uvicorn-direct") as server:
        yield server


def found(line: str, out: str) -> bool:
    """Whether a line is like this."""
    return re.search(line, out, re.MULTILINE) is not None


def labels(out: str) -> list[str]:
    """What begins the lines."""
    return [line.split("  ")[0] for line in out.splitlines()]


def test_what_a_user_sees(app: ServerProcess) -> None:
    done = run("bench", "--url", app.ws, *FLOOD, *BRIEF, "--delay-field", "t")
    assert (done.code, done.err) == (0, "")
    server = ["Server"] if sys.platform == "linux" else []
    without = [label for label in labels(done.out) if label != "Memory"]
    assert without == [
        *("Connected", "Subscribed", "Deliveries", "Each client", "Delay"),
        *server,
        "Generator",
    ]
    assert found(r"^Connected    6 clients in \d\.\d\d s, [\d,]+ a second$", done.out)
    assert found(r"^Deliveries   [\d,]+ a second \([\d,]+ in 0\.\d s\)$", done.out)
    assert found(r"^Each client  [\d,]+ events, all of them$", done.out)
    assert found(r"^Delay        p50 \d+\.\d\d ms   p90 .* ms   p99 .* ms   max .* ms$", done.out)
    if server:
        assert found(r"^Server       \d+\.\d\d µs of CPU a delivery, \d+% of a core", done.out)
    assert "\x1b" not in done.out


@pytest.mark.parametrize("wire", ["socketio", "plain", "msgpack"])
def test_figures_go_to_a_file(
    run_here: Main, app: ServerProcess, tmp_path: Path, wire: str
) -> None:
    file = tmp_path / "figures.json"
    arguments = (*FLOOD, *BRIEF, "--wire", wire, "--count", "3", "--window", "2")
    done = run_here("bench", "--url", app.ws, *arguments, "--json", str(file))
    assert (done.code, done.err) == (0, "")
    figures = json.loads(file.read_text())
    assert figures["connected"]["clients"] == figures["subscribed"]["clients"] == 6
    measured = figures["measured"]
    assert measured["deliveries"] == measured["expected"] == measured["triggers"] * 3 * 6 > 0
    assert (measured["lost"], measured["p50"]) == (0, None)
    assert measured["per_second"] > 0
    assert (measured["cpu_us"] is None) is (sys.platform != "linux")
    assert not figures["interrupted"]
    assert "token-1" not in file.read_text()


@pytest.mark.parametrize("ending", ["", "/", "/ws", "/socket.io/"])
def test_the_address_may_name_the_path(run_here: Main, app: ServerProcess, ending: str) -> None:
    arguments = ("--clients", "2", "--seconds", "0.1", "--token", "token-1")
    assert run_here("bench", "--url", f"{app.http}{ending}", *arguments).code == 0


def test_events_at_a_rate(run_here: Main, app: ServerProcess) -> None:
    done = run_here("bench", "--url", app.ws, *FLOOD, *BRIEF, "--rate", "20", "--stalled", "1")
    assert found(r"^Each client  [5-7] events, all of them$", done.out)
    assert done.code == 0


def test_requests(run_here: Main, app: ServerProcess) -> None:
    arguments = ("--request", "echo", "--data", '{"text": "a"}', "--depth", "2")
    done = run_here("bench", "--url", app.ws, "--token", "token-1", *arguments, *BRIEF)
    assert found(r"^Requests     [\d,]+ a second \([\d,]+ in 0\.\d s\)$", done.out)
    assert found(r"^Each client  between [\d,]+ and [\d,]+ answers$", done.out)
    assert "Delay        p50" in done.out
    assert done.code == 0


def test_what_a_server_publishes_by_itself(run_here: Main, demo: Running, tmp_path: Path) -> None:
    """With the token and the events that there are by default."""
    file = str(tmp_path / "figures.json")
    room = ("--room", "market:ETH-USDT:1s", "--room", "market:ETH-USDT:5s")
    times = ("--clients", "6", "--seconds", "1.5")
    done = run_here("bench", "--url", demo.url, *room, *times, "--json", file)
    assert (done.code, done.err) == (0, "")
    measured = json.loads(Path(file).read_text())["measured"]
    assert measured["deliveries"] == measured["expected"] > 0
    assert measured["triggers"] == 0


def test_connections_that_only_wait(run_here: Main, app: ServerProcess) -> None:
    done = run_here(
        "bench", "--url", app.ws, "--clients", "4", "--seconds", "0.1", "--token", "token-{client}"
    )
    assert labels(done.out)[0] == "Connected"
    assert "Deliveries" not in done.out
    assert done.code == 0


def test_no_event_is_told(run_here: Main, app: ServerProcess) -> None:
    arguments = ("--room", "load:quiet", "--token", "token-1", *BRIEF)
    done = run_here("bench", "--url", app.ws, *arguments)
    assert "Each client  no event: is there one meanwhile, and is its name right?" in done.out
    assert done.code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--publish", "a", "--request", "b"), "--publish and --request are two measurements"),
        (("--rate", "5"), "--rate is how often is asked to publish: say by what, with --publish"),
        (("--publish", "a"), "what is published reaches no room: name one with --room"),
        (("--room", "r", "--stalled", "100"), "all clients would be stalled: take fewer --stalled"),
        (("--request", "a", "--data", "{a}"), "the payload is not JSON (JSON is malformed"),
        (
            ("--url", "localhost:8091"),
            "'localhost:8091' is not a server address; use ws://host:port",
        ),
        (("--url", "wss://h"), "wss://h is behind TLS, which is not supported: measure the"),
        (("--url", "ws://127.0.0.1:1"), "nothing listens at ws://127.0.0.1:1: start the server"),
        (("--clients", "70000", "--pid", "1"), "70,000 clients are more than one machine can"),
        (("--pid", "99999999"), "there is no process 99999999 to look at: is --pid right?"),
    ],
)
def test_what_cannot_be_measured_is_told(
    run_here: Main, arguments: tuple[str, ...], told: str
) -> None:
    done = run_here("bench", *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"lbproto: {told}")


@pytest.mark.parametrize(
    "arguments", [("--clients", "0"), ("--seconds", "0"), ("--window", "0"), ("--wire", "morse")]
)
def test_numbers_out_of_range(run_here: Main, arguments: tuple[str, ...]) -> None:
    done = run_here("bench", *arguments)
    assert (done.code, done.out) == (2, "")
    assert arguments[0] in done.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--token", "secret"), "being let in: the server refuses: "),
        (("--token", "token-1", "--room", "nowhere"), "subscribing: the server refuses: "),
        ((*FLOOD, "--publish", "drown"), "the publisher, when connected: the server refuses: "),
    ],
)
def test_what_the_server_refuses(
    run_here: Main, app: ServerProcess, arguments: tuple[str, ...], told: str
) -> None:
    done = run_here("bench", "--url", app.ws, *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert told in done.err
    assert "secret" not in done.err


def test_a_file_that_cannot_be_written(run_here: Main, app: ServerProcess, tmp_path: Path) -> None:
    arguments = ("--token", "token-1", "--clients", "1", "--seconds", "0.1")
    done = run_here("bench", "--url", app.ws, *arguments, "--json", str(tmp_path / "no" / "file"))
    assert done.code == 2
    assert "(No such file or directory): name another with --json" in done.err
    assert done.out.startswith("Connected")  # the figures are not lost


def test_at_a_terminal_it_shows_progress_and_ctrl_c_ends_it_with_what_there_is(
    app: ServerProcess,
) -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        command("bench", "--url", app.ws, *FLOOD, "--delay-field", "t", "--clients", "5"),
        env={**environment(), "COLUMNS": "100"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = ""
    deadline = time.monotonic() + SECONDS
    interrupted = False
    try:
        while time.monotonic() < deadline and (read := os.read(ours, 65536)):
            shown += read.decode(errors="replace")
            if not interrupted and re.search(r"measuring [^\r]*\d a second", shown):
                process.send_signal(signal.SIGINT)
                interrupted = True
    except OSError:  # the terminal's other end is closed
        pass
    os.close(ours)
    assert process.wait(SECONDS) == 0
    assert interrupted
    assert "warming up" in shown
    _, _, figures = shown.rpartition("Ended before its time; until then:")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", figures)
    assert found(r"^Each client  [\d,]+ events, all of them", plain)
    assert re.search(r"≤ +\d+\.\d\d ms █+ [\d,]+", plain)


# What the figures say


def shown(capsys: pytest.CaptureFixture[str], measured: FanOut | Requests, **more: Any) -> str:
    figures = Figures(10)
    figures.connected = Connected(10, 0.5)
    figures.measured = measured
    for name, value in more.items():
        setattr(figures, name, value)
    figures.show()
    return capsys.readouterr().out


def fan_out(**changed: Any) -> FanOut:
    complete: dict[str, Any] = {"deliveries": 1_000, "expected": 1_000, "fewest": 100, "most": 100}
    numbers = {"clients": 10, "seconds": 2.0, "triggers": 100, "events": 1, "lost": 0, "surplus": 0}
    return FanOut(**(complete | numbers | changed))


def test_a_loss_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    lossy = fan_out(deliveries=990, fewest=90, lost=10)
    told = "Each client  between 90 and 100 events: 10 deliveries (1.00%) were lost"
    assert told in shown(capsys, lossy)
    figures = Figures(10)
    figures.measured = lossy
    assert not figures.complete
    figures.measured = fan_out()
    assert figures.complete


def test_a_surplus_is_told_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    told = "5 deliveries more than asked for: name the event to count with --event"
    assert told in shown(capsys, fan_out(deliveries=1_005, surplus=5))


def test_rooms_that_differ_are_no_loss(capsys: pytest.CaptureFixture[str]) -> None:
    told = "Each client  99 to 100 events, all of its room"
    assert told in shown(capsys, fan_out(fewest=99))


def test_who_was_at_the_limit(capsys: pytest.CaptureFixture[str]) -> None:
    busy = Usage(on_cpu=1.98, user=1, system=1, resident=0)
    at_limit = ": the limit was here, not at the server"
    assert at_limit in shown(capsys, fan_out(generator=1.9))
    assert at_limit not in shown(capsys, fan_out(generator=1.9, server=busy))
    assert "Generator    50% of a core\n" in shown(capsys, fan_out(generator=1.0))
    told = "Server       1980.00 µs of CPU a delivery, 99% of a core"
    assert told in shown(capsys, fan_out(server=busy))


def test_memory(capsys: pytest.CaptureFixture[str]) -> None:
    told = "Memory       12.0 KiB of the server's a connection"
    assert told in shown(capsys, fan_out(), connection_bytes=12 * 1024)
    assert "Memory" not in shown(capsys, fan_out(), connection_bytes=0)


def test_what_ended_before_anything_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    nothing = fan_out(deliveries=0, expected=0, fewest=0, most=0)
    told = shown(capsys, nothing, interrupted=True)
    assert told.startswith("Ended before its time; until then:\nConnected    10 clients")
    assert "Each client" not in told
