"""A NATS server, from its wheel."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep

from tests.serving import free_port

__all__ = ["NATS"]

_PATIENCE = 60.0  # seconds


class NATS:
    """A server of its own.

    Args:
        settings: what its configuration says.
    """

    def __init__(self, settings: str = "") -> None:
        self.port = free_port()
        self._directory = Path(mkdtemp(prefix="nats-"))
        (self._directory / "nats.conf").write_text(f"listen: 127.0.0.1:{self.port}\n{settings}\n")
        self.start()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        program = Path(sys.executable).parent / "nats-server"
        with (self._directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                (program, "-c", self._directory / "nats.conf"), stdout=log, stderr=log
            )
        end = monotonic() + _PATIENCE
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port)) as client:
                if client.recv(4) == b"INFO":
                    return
            assert monotonic() < end
            sleep(0.01)

    def kill(self) -> None:
        """As the power cord does."""
        self.process.kill()
        self.process.wait()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """It takes what it is sent, and does nothing."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self._directory)
