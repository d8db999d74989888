"""The commands as their users start them: in processes of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "Done",
    "Running",
    "command",
    "environment",
    "finish",
    "python",
    "run",
    "running",
    "started",
]

SECONDS = 120  # what hangs fails


def environment() -> dict[str, str]:
    """Ours, without what the commands would listen to."""
    heeded = ("LBPROTO_TOKEN", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "COLUMNS")
    kept = {name: value for name, value in os.environ.items() if name not in heeded}
    return {**kept, "TERM": "xterm-256color"}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "lbproto.cli", *arguments]


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What it printed, read as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


def run(*arguments: str) -> Done:
    """Run a command to its end."""
    return _run(command(*arguments))


def python(program: str) -> Done:
    """Run a program to its end."""
    return _run([sys.executable, "-c", program])


def _run(words: list[str]) -> Done:
    done = subprocess.run(
        words,
        check=False,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    return Done(done.returncode, done.stdout, done.stderr)


class Running:
    """A server command that runs.

    Attributes:
        welcome: what it said when it was ready.
        url: where it is, as it said.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.welcome = ""
        assert process.stdout is not None
        for line in process.stdout:
            self.welcome += line
            if "Press Ctrl-C to stop" in line:
                break
        match = re.search(r"^WebSocket +(ws://.*)/ws$", self.welcome, re.MULTILINE)
        assert match is not None, finish(process)
        self.url = match[1]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def signal(self, signum: int) -> None:
        """Tell it something; it may end of it."""
        self._process.send_signal(signum)

    def finish(self) -> Done:
        """Wait until it has ended."""
        return finish(self._process)

    def stop(self, signum: int) -> Done:
        """Have it end, and wait until it has."""
        self.signal(signum)
        return self.finish()


def finish(process: subprocess.Popen[str]) -> Done:
    """Wait until a process has ended."""
    out, err = process.communicate(timeout=SECONDS)
    return Done(process.returncode, out, err)


@contextmanager
def started(*arguments: str, cwd: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """A command while the body runs; it is killed in the end."""
    with subprocess.Popen(
        command(*arguments),
        env=environment(),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@contextmanager
def running(*arguments: str, port: int = 0, cwd: Path | None = None) -> Iterator[Running]:
    """A server command, by default on a free port, while the body runs; it has to end quietly."""
    with started(*arguments, "--port", str(port), cwd=cwd) as process:
        server = Running(process)
        yield server
        if process.poll() is None:
            done = server.stop(signal.SIGTERM)
            assert (done.code, done.err) == (0, "")
