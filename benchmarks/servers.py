"""Starts the server of a row on its core, and ends it."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from benchmarks.machine import SERVER_CORE, on_core
from benchmarks.needs import ROOT
from benchmarks.rows import Row
from lbproto.load import ServerProcess

__all__ = ["Running", "ServerFailed", "free_port", "running"]

START_SECONDS = 30
_SETTLE_SECONDS = 0.1  # from listening to having nothing more to do
_SHOWN = 2_000  # characters of a log


class ServerFailed(Exception):
    """A server ended by itself or never listened; the message is the end of its log."""


@dataclass(frozen=True)
class Running:
    """A server that listens.

    Attributes:
        port: where, on 127.0.0.1.
        process: it and its children, to ask what they use.
    """

    port: int
    process: ServerProcess

    @property
    def url(self) -> str:
        """Its address, without a path."""
        return f"ws://127.0.0.1:{self.port}"


def free_port() -> int:
    """A TCP port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@contextmanager
def running(row: Row, core: int | None = SERVER_CORE) -> Iterator[Running]:
    """Serve while the body runs; the server is killed then, having nothing to lose.

    Args:
        core: where it runs; None for anywhere.

    Raises:
        ServerFailed: it does not listen.
    """
    port = free_port()
    with TemporaryDirectory() as directory:
        log = Path(directory, "log")
        process = _start(row, port, log, core)
        try:
            _wait_listening(process, port, log)
            time.sleep(_SETTLE_SECONDS)
            yield Running(port, ServerProcess(process.pid))
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _start(row: Row, port: int, log: Path, core: int | None) -> subprocess.Popen[bytes]:
    command = [part.format(port=port, baseline=baseline) for part in row.command]
    with log.open("wb") as output, on_core(core):
        return subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own, with the workers it starts
        )


def _wait_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise ServerFailed(log.read_text(errors="replace")[-_SHOWN:] or "it does not listen")


class _Baseline:
    """The C program, compiled when somebody first needs it, and again when its source changes."""

    def __format__(self, specification: str) -> str:
        source = ROOT / "benchmarks" / "peers" / "baseline.c"
        digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
        directory = Path(gettempdir(), f"lbproto-benchmarks-{os.getuid()}")
        directory.mkdir(mode=0o700, exist_ok=True)
        program = directory / f"baseline-{digest}"
        if not program.exists():
            made = directory / f"{program.name}.{os.getpid()}"
            subprocess.run(["cc", "-O2", "-o", made, source], check=True)
            made.replace(program)
        return str(program)


baseline = _Baseline()
