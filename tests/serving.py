"""Serves ASGI apps to tests: a real server, in a process of its own, on a free port.

The servers are started by their own commands, as their users start them. SIGTERM stops them, so
that they shut down in order and coverage data is written.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["SERVERS", "NotStarted", "ServerProcess", "free_port", "serving"]

START_SECONDS = 60
STOP_SECONDS = 60

_CROWDED = frozenset(
    f"tests.{module}"
    for module in ("e2e.counting", "e2e.crediting", "e2e.market_crowd", "e2e.slow", "load.app")
)

_COMMANDS = {
    "uvicorn-uvloop": ("uvicorn", "{app}", "--port", "{port}", "--loop", "uvloop"),
    "uvicorn-asyncio": ("uvicorn", "{app}", "--port", "{port}", "--loop", "asyncio"),
    "uvicorn-direct": (
        *("uvicorn", "{app}", "--port", "{port}", "--loop", "uvloop"),
        *("--ws", "lbproto.asgi.uvicorn:WebSocketProtocol"),
    ),
    "hypercorn-asyncio": ("hypercorn", "{app}", "-b", "127.0.0.1:{port}"),
    "hypercorn-trio": ("hypercorn", "{app}", "-b", "127.0.0.1:{port}", "-k", "trio"),
    "granian": ("granian", "{app}", "--port", "{port}", "--interface", "asgi"),
}

_OWN = {"lbproto": ("lbproto.cli", "serve", "{app}", "--port", "{port}", "--drain", "2")}
"""Likewise, by its own command: stopped, it closes connections one after the other."""

SERVERS = tuple(_COMMANDS)
"""The servers that there are, each with its event loop."""

# Most of their own limits give a peer longer than a test wants to wait when it stops.
_OPTIONS = {
    "uvicorn": ("--timeout-graceful-shutdown", "1"),
    "hypercorn": ("--graceful-timeout", "1"),
    "granian": ("--workers-kill-timeout", "2"),
    "lbproto.cli": (),
}


class NotStarted(Exception):
    """The server ended, or does not answer; the message is what it logged."""


# Below those that the kernel gives to connections, and to whoever asks for any: nobody else takes
# one before a server listens there, or while that is down and is to come back. Processes that
# choose at the same time begin far from each other.
_PORTS = range(10_007, 32_749)
_chosen = count(os.getpid() * 6_007)


def free_port() -> int:
    """A TCP port that nobody listens on just now, and that is not chosen again soon."""
    for number in islice(_chosen, len(_PORTS)):
        port = _PORTS[number % len(_PORTS)]
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("somebody listens on every port")


class ServerProcess:
    """A running server.

    Attributes:
        kind: which of `SERVERS`.
        port: where it listens, on 127.0.0.1.
    """

    def __init__(self, kind: str, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
        self.kind = kind
        self.port = port
        self._process = process
        self._log = log

    @property
    def http(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws(self) -> str:
        """The same for websockets."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process, which some servers have others beside."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """What it has written so far, to standard output or error."""
        return self._log.read_text(errors="replace")

    def wait_ready(self) -> None:
        """Wait until it answers HTTP.

        Raises:
            NotStarted: it ended, or takes too long.
        """
        deadline = time.monotonic() + START_SECONDS
        while self.running and time.monotonic() < deadline:
            if self._answers() and self.running:
                return
            time.sleep(0.05)
        raise NotStarted(self.log)

    def wait_logged(self, text: str, times: int = 1) -> None:
        """Wait until it has written `text` so often.

        Raises:
            AssertionError: it takes too long, or it was written more often.
        """
        deadline = time.monotonic() + START_SECONDS
        while self.log.count(text) < times and time.monotonic() < deadline:
            time.sleep(0.05)
        assert self.log.count(text) == times, self.log

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/is-it-ready")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True

    def stop(self, signum: int = signal.SIGTERM) -> None:
        """Have it shut down, and wait until it has.

        Raises:
            AssertionError: it had to be killed.
        """
        if self.running:
            self._process.send_signal(signum)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.kind} did not stop by itself:\n{self.log}") from None

    def kill(self) -> None:
        """End it and its workers at once; no effect where it has ended."""
        if self.running:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@contextmanager
def serving(
    app: str, kind: str = "uvicorn-uvloop", *, port: int | None = None, options: Sequence[str] = ()
) -> Iterator[ServerProcess]:
    """Serve an app while the body runs.

    Args:
        app: `module:attribute`.
        kind: one of `SERVERS`, or "lbproto".
        port: where; a free one by default.
        options: more of the server's command line.

    Raises:
        NotStarted: the server ended before it answered; the message is its log.
        AssertionError: it did not stop by itself afterwards.
    """
    with TemporaryDirectory() as directory:
        server = _start(app, kind, port, options, Path(directory, "log"))
        try:
            yield server
        except BaseException:
            server.kill()
            raise
        server.stop()


def _environment(app: str) -> dict[str, str]:
    """That of a server. Whether lines of it are covered is not measured where crowds come.

    It would make each request cost twice as much, and other servers run the same lines.
    """
    crowded = app.partition(":")[0] in _CROWDED
    kept = {
        name: value
        for name, value in os.environ.items()
        if not (crowded and name.startswith("COVERAGE_"))
    }
    return {**kept, "PYTHONUNBUFFERED": "1"}


def _start(
    app: str, kind: str, port: int | None, options: Sequence[str], log: Path
) -> ServerProcess:
    for attempt in range(3):
        at = port or free_port()
        command = [part.format(app=app, port=at) for part in (_COMMANDS | _OWN)[kind]]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *command, *_OPTIONS[command[0]], *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(app),
                start_new_session=True,  # a group of its own, with the workers it starts
            )
        server = ServerProcess(kind, at, process, log)
        try:
            server.wait_ready()
        except NotStarted as failure:
            server.kill()
            # Somebody else may have taken the port in the meantime.
            taken = "address already in use" in str(failure).lower()
            if attempt == 2 or port is not None or not taken:
                raise
        except BaseException:
            server.kill()
            raise
        else:
            return server
    raise AssertionError("not reached")
