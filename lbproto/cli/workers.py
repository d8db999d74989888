"""Several processes that share a port: started, watched, replaced and stopped together.

Theory of operation. Each worker has a link to us, a pair of sockets. By that it is told what to
serve; it says that it does, and then, once a second from its event loop, that this turns. One that
ends, or falls silent, is replaced. A worker whose link has an end has lost us, and drains.

The first worker starts alone. What is wrong is so told once, and ends everything; later a worker
that cannot start is tried again, since the others serve.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Sequence
from contextlib import suppress

from lbproto.cli.keeper import Keeper
from lbproto.cli.link import READY

__all__ = ["CannotServe", "supervise"]

logger = logging.getLogger(__name__)

_HANG_SECONDS = 30.0  # seconds until a worker is taken to hang
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0  # seconds until a place is taken again
_STEADY_SECONDS = 60.0  # seconds after which a worker that ends has been no false start
_TURNS_SECONDS = 1.0
_STOP_SECONDS = 10.0  # what workers are left beyond the drain, before they are killed
_READ = 4_096


class CannotServe(Exception):
    """The first worker has ended before it served; it has told why."""


class _Worker:
    """One process; made by `start`.

    Attributes:
        began: when, by the event loop's time.
        ready: set once it serves.
    """

    def __init__(self, process: Process, link: socket.socket) -> None:
        self._process = process
        self._link = link
        self._loop = asyncio.get_running_loop()
        self.began = self._heard = self._loop.time()
        self.ready = asyncio.Event()
        self._loop.add_reader(link, self._hear)

    @classmethod
    async def start(
        cls, module: str, instructions: bytes, listeners: Sequence[socket.socket]
    ) -> _Worker:
        """Start a process, and tell it what to do; raises `OSError` where there can be none."""
        ours, theirs = socket.socketpair()
        with theirs:
            passed = [theirs.fileno(), *(listener.fileno() for listener in listeners)]
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", module, *map(str, passed)),
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=passed,
                )
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        with suppress(OSError):  # it has ended already
            await asyncio.get_running_loop().sock_sendall(ours, instructions + b"\n")
        return cls(process, ours)

    def _hear(self) -> None:
        try:
            said = self._link.recv(_READ)
        except OSError:
            said = b""
        if not said:
            self._loop.remove_reader(self._link)
            return
        self._heard = self._loop.time()
        if READY in said:
            self.ready.set()

    def signal(self, number: int) -> None:
        """Tell it something; no effect where it has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def wait_ready(self) -> bool:
        """Wait until it serves, or has ended.

        Returns:
            Whether it serves.
        """
        ended = asyncio.create_task(self._process.wait())
        ready = asyncio.create_task(self.ready.wait())
        await asyncio.wait((ended, ready), return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        ready.cancel()
        return self.ready.is_set()

    async def wait_ended(self, silent: float) -> int:
        """Wait until it has ended, and end it where it says nothing for so many seconds.

        Returns:
            Its exit code; the number of the signal that has ended it, negative.
        """
        while self._process.returncode is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), silent / 4)
            if self.ready.is_set() and self._loop.time() - self._heard > silent:
                logger.error("worker %d hangs, and is ended", self._process.pid)
                self.signal(signal.SIGKILL)
                await self._process.wait()
        self._loop.remove_reader(self._link)
        self._link.close()
        return self._process.returncode

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid


class _Supervisor:
    """All workers.

    Args:
        module: what each runs; it is given the numbers of open files, its link's first.
        instructions: one line, what it is told.
        listeners: what it serves on.
        drain_seconds: how long each closes its connections over.
    """

    def __init__(
        self,
        module: str,
        instructions: bytes,
        listeners: Sequence[socket.socket],
        drain_seconds: float,
    ) -> None:
        self._module = module
        self._instructions = instructions
        self._listeners = listeners
        self._longest_end = drain_seconds + _STOP_SECONDS
        self._silent = max(_HANG_SECONDS, self._longest_end)  # one that drains says nothing
        self._workers: set[_Worker] = set()
        self._stopping = asyncio.Event()

    async def run(self, count: int, keeper: Keeper) -> None:
        """Keep so many until a signal, then until all have ended; see `supervise`."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        async with asyncio.TaskGroup() as tasks:
            for place in range(count):
                worker = await self._start()
                if worker is None:
                    break
                if place == 0 and not await worker.wait_ready() and not self._stopping.is_set():
                    await worker.wait_ended(self._silent)
                    raise CannotServe
                tasks.create_task(self._keep(worker))
            for worker in list(self._workers):
                await worker.wait_ready()
            if not self._stopping.is_set():
                keeper.ready()
            while not self._stopping.is_set():
                keeper.turns()
                await self._stops_within(_TURNS_SECONDS)
            keeper.stopping()
            killing = loop.call_later(self._longest_end, self._signal, signal.SIGKILL)
        killing.cancel()

    def _stop(self, number: int) -> None:
        if self._stopping.is_set():
            self._signal(number)  # a second SIGINT ends their drain
            return
        self._stopping.set()
        for listener in self._listeners:
            listener.close()  # from now on a successor may listen on the port
        # At a terminal they have got their SIGINT too: another one would be their second.
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        for worker in self._workers:
            worker.signal(number)

    async def _start(self) -> _Worker | None:
        """Another worker; None once all stop, when there is nothing left to listen on."""
        if self._stopping.is_set():
            return None
        worker = await _Worker.start(self._module, self._instructions, self._listeners)
        self._workers.add(worker)
        if self._stopping.is_set():
            worker.signal(signal.SIGTERM)
        return worker

    async def _keep(self, first: _Worker) -> None:
        """Have a place taken, again and again, until all stop."""
        worker: _Worker | None = first
        wait = _FIRST_WAIT
        while worker is not None:
            code = await worker.wait_ended(self._silent)
            self._workers.discard(worker)
            if self._stopping.is_set():
                return
            logger.error("worker %d has ended (%d): another takes its place", worker.pid, code)
            lived = asyncio.get_running_loop().time() - worker.began
            wait = _FIRST_WAIT if lived > _STEADY_SECONDS else wait
            worker = await self._start_again(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    async def _start_again(self, wait: float) -> _Worker | None:
        """Another worker after so many seconds, or later; None once all stop."""
        while not await self._stops_within(wait):
            try:
                return await self._start()
            except OSError as error:  # no memory is left, or Python is being upgraded
                logger.error("no worker can be started just now: %s", error)
            wait = min(2 * wait, _LONGEST_WAIT)
        return None

    async def _stops_within(self, seconds: float) -> bool:
        """Wait, until all stop at most; whether they do."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)
        return self._stopping.is_set()


def supervise(
    count: int,
    module: str,
    instructions: bytes,
    listeners: Sequence[socket.socket],
    keeper: Keeper,
    *,
    drain_seconds: float,
) -> None:
    """Keep several workers until SIGINT or SIGTERM; returns when all have ended.

    Args:
        count: how many.
        module: what each runs, as `python -m`; see `lbproto.cli.worker`.
        instructions: what it is told, one line.
        listeners: what all serve on; closed at the end.
        keeper: told how they get on.
        drain_seconds: how long each closes its connections over.

    Raises:
        CannotServe: the first one has ended before it served.
    """

    async def run() -> None:
        await _Supervisor(module, instructions, listeners, drain_seconds).run(count, keeper)

    try:
        asyncio.run(run())
    except* CannotServe:
        raise CannotServe from None
