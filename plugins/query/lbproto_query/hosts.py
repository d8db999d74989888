"""Where a worker runs: in a process of its own, or in a thread of this one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from threading import Thread
from typing import Protocol

import anyio
from anyio import to_thread
from anyio.abc import Process

from lbproto_query.catalogues import Catalogue
from lbproto_query_worker.database import Database
from lbproto_query_worker.server import serve

__all__ = ["Host", "ProcessHost", "ThreadHost"]

# All that a worker is told of this process's environment: nothing.
_ENVIRONMENT = {"LANG": "C.UTF-8", "TZ": "UTC"}


class Host(Protocol):
    """What a worker runs in; it ends when its line is closed."""

    async def start(self, line: socket.socket, catalogue: Catalogue, folder: Path) -> None:
        """Start a worker at this end of a line; `line` is its own then."""
        ...

    def kill(self) -> None:
        """Have it end at once, if that can be."""
        ...

    async def join(self, seconds: float) -> None:
        """Wait for it to end, once its line is closed; it is killed after `seconds`."""
        ...


class ProcessHost:
    """A process under the system's limits."""

    def __init__(self, memory: int, threads: int) -> None:
        self._memory = memory
        self._threads = threads
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """The process, if it was started."""
        return self._process.pid if self._process else None

    async def start(self, line: socket.socket, catalogue: Catalogue, folder: Path) -> None:
        with line:
            self._process = await anyio.open_process(
                [
                    *(sys.executable, "-I", "-m", "lbproto_query_worker"),
                    *map(str, (line.fileno(), self._memory, self._threads, folder)),
                    *map(str, catalogue.files),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=None,
                cwd=os.sep,
                env=_ENVIRONMENT,
                start_new_session=True,  # an interrupt from the terminal is the server's to handle
                pass_fds=[line.fileno()],
            )

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def join(self, seconds: float) -> None:
        if self._process is None:
            return
        with anyio.move_on_after(seconds):
            await self._process.wait()
        self.kill()
        await self._process.aclose()


class ThreadHost:
    """A thread of this process, for SQL that is trusted: nothing bounds it but DuckDB itself."""

    def __init__(self, memory: int, threads: int) -> None:
        self._memory = memory
        self._threads = threads
        self._thread: Thread | None = None

    async def start(self, line: socket.socket, catalogue: Catalogue, folder: Path) -> None:
        def run() -> None:
            files = [str(each) for each in catalogue.files]
            serve(line, lambda: Database(files, folder, self._memory, self._threads), threads=0)

        self._thread = Thread(target=run, name="lbproto query worker", daemon=True)
        self._thread.start()

    def kill(self) -> None:
        """A thread cannot be: it ends when its queries react."""

    async def join(self, seconds: float) -> None:
        if self._thread is not None:
            await to_thread.run_sync(self._thread.join, seconds)
