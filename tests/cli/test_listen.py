from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

from tests.cli.commands import SECONDS, Running, command, environment, finish, running, started
from tests.cli.conftest import Main

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_events_come_as_json_lines_until_there_were_enough(run_here: Main, demo: Running) -> None:
    done = run_here("listen", "market:ETH-USDT:1s", "--url", demo.url, "--json", "--count", "4")
    assert (done.code, done.err) == (0, "")
    subscribed, chart, *updates = done.lines
    assert subscribed["data"]["room"] == "market:ETH-USDT:1s"
    assert chart["data"]["symbol"] == "ETH-USDT"
    assert [update["event"] for update in updates] == ["market_chart_live_update"] * 2


def test_events_come_as_text(run_here: Main, demo: Running) -> None:
    done = run_here("listen", "market:ETH-USDT:1s", "--url", demo.url, "--count", "3")
    first, *_, last = done.out.splitlines()
    assert first.startswith("subscribed  room=market:ETH-USDT:1s  subscriberCount=")
    assert last.startswith("market_chart_live_update  symbol=ETH-USDT  open=")
    assert "\x1b" not in done.out


def test_several_rooms(run_here: Main, demo: Running) -> None:
    rooms = ("market:ETH-USDT", "market:ETH-USDT:5s")
    done = run_here("listen", *rooms, "--url", demo.url, "--json", "--count", "6")
    heard = [line["data"]["room"] for line in done.lines if line["event"] == "subscribed"]
    assert heard == list(rooms)


def test_a_room_that_refuses_ends_it(run_here: Main, demo: Running) -> None:
    done = run_here("listen", "market:DOGE", "market:ETH-USDT", "--url", demo.url, "--json")
    assert done.code == 1
    assert [line["event"] for line in done.lines] == ["market_data_error"]


def test_interrupting_it_is_its_ordinary_end(demo: Running) -> None:
    with started("listen", "market:ETH-USDT", "--url", demo.url, "--json") as process:
        assert process.stdout is not None
        assert "subscribed" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        done = finish(process)
    assert (done.code, done.err) == (0, "")


def test_it_goes_on_when_the_server_was_restarted() -> None:
    ticker = partial(running, "serve", "ticker:server", cwd=EXAMPLES)
    with ticker() as server:
        words = ("listen", "ticks:ACME", "--url", server.url, "--token", "secret", "--json")
        with started(*words) as process:
            assert process.stdout is not None
            assert "subscribed" in process.stdout.readline()
            server.signal(signal.SIGKILL)
            server.finish()
            with ticker(port=server.port):
                told: list[str] = []
                while told[-1:] != ["subscribed"]:
                    told.append(json.loads(process.stdout.readline())["event"])
                process.send_signal(signal.SIGINT)
                assert finish(process).code == 0
    assert told[-3:] == ["connected", "session_lost", "subscribed"]


def test_at_a_terminal_open_candles_change_in_place(demo: Running) -> None:
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        command("listen", "market:ETH-USDT:1s", "--url", demo.url, "--count", "8"),
        env={**environment(), "COLUMNS": "100"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = bytearray()
    deadline = time.monotonic() + SECONDS
    try:
        while time.monotonic() < deadline and (read := os.read(ours, 65536)):
            shown += read
    except OSError:  # the terminal's other end is closed
        pass
    os.close(ours)
    assert process.wait(SECONDS) == 0
    text = shown.decode()
    assert "\x1b[1;36msubscribed\x1b[0m" in text
    assert "\x1b[2K" in text  # a line is written anew
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert re.search(r"ETH-USDT 1s  \d\d:\d\d:\d\d  O 16\d\d\.\d", plain)
    assert all(len(line) <= 100 for line in plain.replace("\r", "\n").splitlines())
