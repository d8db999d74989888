"""Output that goes nowhere or not in UTF-8, arguments that are not text, and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import pytest

from tests.cli.commands import SECONDS, Done, Running, command, environment, finish, started
from tests.cli.conftest import Main

FULL = "lbproto: the output cannot be written: No space left on device\n"
TRADES = json.dumps({"sql": "SELECT * FROM trades"})


PRINTING = """
from lbproto.cli.failure import telling
from lbproto.cli.streams import ready
with telling(), ready():
    print("as a plugin may")
"""


def run(*words: str, stdout: int | IO[Any] = subprocess.PIPE, **variables: str) -> Done:
    return _run(command(*words), stdout, variables)


def _run(command: list[str], stdout: int | IO[Any], variables: dict[str, str]) -> Done:
    done = subprocess.run(
        command,
        check=False,
        env=environment() | variables,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=SECONDS,
    )
    return Done(done.returncode, (done.stdout or b"").decode(), done.stderr.decode())


@pytest.mark.parametrize(
    "words",
    [
        ("call", "query", TRADES),
        ("call", "query", TRADES, "--json"),
        ("listen", "market:ETH-USDT:1s"),
    ],
)
def test_whoever_has_read_enough_is_told_nothing(demo: Running, words: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = run(*words, "--url", demo.url, stdout=pipe)
    assert (done.code, done.err) == (1, "")


@pytest.mark.parametrize("words", [("call", "ping"), ("call", "ping", "--json")])
def test_a_full_disk_is_told(demo: Running, words: tuple[str, ...]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    with Path("/dev/full").open("wb") as full:
        done = run(*words, "--url", demo.url, stdout=full)
    assert (done.code, done.err) == (2, FULL)


def test_what_is_written_at_the_end_only_is_told_as_well() -> None:
    words = [sys.executable, "-E", "-c", PRINTING]  # buffered, whatever PYTHONUNBUFFERED says
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = _run(words, pipe, {})
    assert (done.code, done.err) == (1, "")
    if Path("/dev/full").exists():
        with Path("/dev/full").open("wb") as full:
            done = _run(words, full, {})
        assert (done.code, done.err) == (2, FULL)


def test_output_that_is_closed_goes_nowhere(demo: Running) -> None:
    words = command("call", "demo_echo", '{"text": "a"}', "--url", demo.url)
    shell = ["sh", "-c", '"$@" >&-', "sh", *words]
    done = subprocess.run(
        shell, check=False, env=environment(), capture_output=True, text=True, timeout=SECONDS
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_another_encoding(demo: Running) -> None:
    data = json.dumps({"text": "h\u00e9 \u2192"})
    words = ("call", "demo_echo", data, "--url", demo.url)
    assert "h\\xe9 \\u2192" in run(*words, PYTHONIOENCODING="ascii").out
    assert "h\u00e9 \u2192" in run(*words, "--json", PYTHONIOENCODING="ascii").out
    assert run("schema", "-f", "typescript", PYTHONIOENCODING="latin-1").code == 0


def test_arguments_that_are_not_text(run_here: Main) -> None:
    done = run_here("call", "h\udcc3")
    assert (done.code, done.out) == (2, "")
    assert "the arguments cannot be read: write them in UTF-8, and set LC_ALL=C.UTF-8" in done.err


def test_ctrl_c_where_there_is_nothing_to_cancel() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        with started("call", "ping", "--url", url) as process:
            connection, _ = silent.accept()
            with connection:
                process.send_signal(signal.SIGINT)
                done = finish(process)
    assert (done.code, done.out, done.err) == (130, "", "")
