"""The commands of the pages: run by bash as readers would, or excused with a reason."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.cli.commands import environment
from tests.docs.pages import ROOT
from tests.docs.places import Places
from tests.serving import free_port

__all__ = ["ELSEWHERE", "SECONDS", "Shell", "commands_of", "excused_by"]

ELSEWHERE = {
    "pip install": "installs from an index; the tutorial's test does",
    "python -m venv": "there is an environment already",
    ". .venv": "likewise",
    "npm install": "tests/node has the modules",
    "python -m benchmarks fanout": "takes minutes; .ci/run has them run, quickly",
    "python -m benchmarks all": "likewise",
    "python -m benchmarks show": "shows what came of that",
    "pytest -n 2": "all tests, these among them",
}
"""How commands begin that need what is not here, and what that is."""

SECONDS = 180

_SERVES = re.compile(
    r"(?:\w+=\S+ )*"
    r"(?:lbproto (?:serve|demo)|uvicorn|hypercorn|granian|python -m benchmarks\.lbproto_server)\b"
)
_ENDS_BY_ITSELF = re.compile(r"--(?:help|show-config)\b")
_PORT = re.compile(r"(?:--port[ =]|LBPROTO_PORT=)(\d+)")

# The command, but clients look for the page's server where they are not told.
_COMMAND = """#!{python}
import os

from lbproto.cli import main, welcome

if __name__ == "__main__":
    welcome.DEFAULT_URL = "ws://localhost:" + os.environ["LBPROTO_PORT"]
    main()
"""


def commands_of(code: str) -> Iterator[str]:
    """Each command of a block of lines; one may go on behind a backslash."""
    for line in code.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line


def excused_by(command: str) -> str | None:
    """The beginning by which a command is passed over."""
    command = command.removeprefix("uv run ")
    return next((each for each in ELSEWHERE if command.startswith(each)), None)


class Shell:
    """Runs the commands of a page.

    Args:
        folder: where.
        places: where servers listen and clients look, if they are not told.
        venv: an environment of the page's own, which its commands install into; by default they
            find what tests find, and nothing is installed.
    """

    def __init__(self, folder: Path, places: Places, venv: Path | None = None) -> None:
        self._folder = folder
        self._places = places
        self._installs = venv is not None
        self._servers: dict[int, subprocess.Popen[bytes]] = {}
        self._demo: int | None = None
        self._meanwhile: tuple[subprocess.Popen[bytes], str] | None = None
        programs = folder / ".bin"
        programs.mkdir()
        python = venv / "bin" / "python" if venv else Path(sys.executable)
        _write_program(programs / "lbproto", _COMMAND.format(python=python))
        self._environment = {
            **environment(),
            "COLUMNS": "120",
            "PATH": f"{programs}:{python.parent}:{os.environ['PATH']}",
            "PYTHONUNBUFFERED": "1",
        }
        if venv:
            _write_program(programs / "pip", '#!/bin/sh\nexec uv pip "$@"\n')
            self._environment["VIRTUAL_ENV"] = str(venv)
        else:
            self._environment["PYTHONPATH"] = f"{folder}:{ROOT / 'examples'}:{ROOT}"

    @property
    def serves(self) -> bool:
        """Whether a command listens at the page's port."""
        return self._places.port in (*self._servers, self._demo)

    def leave(self) -> None:
        """Have the page go on at another port, where nobody listens yet."""
        self._places.port = free_port()

    def run(self, command: str, *, until: str | None = None, fails: bool = False) -> str:
        """Run a command.

        Args:
            command: as it is typed. One that serves goes on until the page ends.
            until: what it prints before it is ended; by default it ends by itself.
            fails: whether that is with an error.

        Returns:
            What it printed; of a server, until it listened.
        """
        command = " && ".join(part for part in command.split(" && ") if not self._excused(part))
        command = command.replace("uv run ", "")
        if not command:
            return ""
        if command.startswith("cd "):
            self._folder = (self._folder / command.removeprefix("cd ")).resolve(strict=True)
            return ""
        if _SERVES.match(command) and not _ENDS_BY_ITSELF.search(command) and until is None:
            return self._serve(command)
        return self.finish(["bash", "-c", self._places.found(command)], until, fails=fails)

    def begin(self, command: str) -> None:
        """Have a command go on while others are run, as soon as it has printed something."""
        process = self._start(["bash", "-c", self._places.found(command)])
        self._meanwhile = process, _read_until(process, "\n")

    def ended(self) -> str:
        """Wait for the end of what `begin` began; what it has printed."""
        assert self._meanwhile is not None
        process, printed = self._meanwhile
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), True)
        self._meanwhile = None
        return printed + process.communicate(timeout=SECONDS)[0].decode()

    def finish(self, words: list[str], until: str | None = None, *, fails: bool = False) -> str:
        """Run a program to its end, or until it has printed something.

        Returns:
            What it printed.
        """
        process = self._start(words)
        with process:
            try:
                if until is None:
                    out = process.communicate(timeout=SECONDS)[0].decode()
                    assert (process.returncode != 0) == fails, f"{shlex.join(words)}:\n{out}"
                    return out
                return _read_until(process, until)
            finally:
                _end(process, signal.SIGKILL)

    def stop(self) -> None:
        """End what runs."""
        for process in self._servers.values():
            _end(process, signal.SIGTERM)
        if self._meanwhile is not None:
            _end(self._meanwhile[0], signal.SIGKILL)
            self._meanwhile[0].communicate()

    def _serve(self, command: str) -> str:
        if command.startswith("lbproto demo"):
            self._places.port = self._demo = self._places.demo()
            return ""
        if self._places.port == self._demo:
            self.leave()
        command = self._places.found(command)
        said = _PORT.search(command)
        port = int(said[1]) if said else self._places.port
        if former := self._servers.pop(port, None):
            _end(former, signal.SIGTERM)
        log = self._folder / f".log-{port}"
        with log.open("wb") as output:
            process = self._start(["bash", "-c", f"exec {_words(command)}"], output.fileno())
        self._servers[port] = process
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and process.poll() is None and not _listens(port):
            time.sleep(0.05)  # a process of others: nothing tells when it listens
        assert process.poll() is None, f"{command}:\n{log.read_text()}"
        assert _listens(port), f"{command} does not listen at {port}"
        while time.monotonic() < end and _said_later(command, log.read_text()):
            time.sleep(0.05)  # nor when it has written
        printed = log.read_text()
        assert not _said_later(command, printed), f"{command} does not say how to stop it"
        return printed

    def _excused(self, command: str) -> bool:
        beginning = excused_by(command)
        return beginning is not None and not (self._installs and beginning == "pip install")

    def _start(self, words: list[str], output: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            words,
            cwd=self._folder,
            env={**self._environment, "LBPROTO_PORT": str(self._places.port)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, with what it starts
        )


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _said_later(command: str, printed: str) -> bool:
    """Whether a server that listens has still to say so, to people."""
    return "lbproto serve " in command and "--" not in command and "Ctrl-C" not in printed


def _words(command: str) -> str:
    """A command for `exec`, which takes no variables before it."""
    return f"env {command}" if re.match(r"\w+=", command) else command


def _read_until(process: subprocess.Popen[bytes], text: str) -> str:
    assert process.stdout is not None
    out = ""
    deadline = time.monotonic() + SECONDS
    os.set_blocking(process.stdout.fileno(), False)
    while not re.search(text, out):
        ended = process.poll() is not None
        out += (process.stdout.read() or b"").decode()
        assert not ended or re.search(text, out), f"it ended without {text!r}:\n{out}"
        assert time.monotonic() < deadline, f"no {text!r} in {SECONDS} s:\n{out}"
        time.sleep(0.02)  # until there is more to read
    return out


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("localhost", port), timeout=5):
            return True
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes], signum: int) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signum)
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
