"""A worker: one catalogue, several queries at a time, and one line to the engine.

The thread that talks to the engine has the priority of any other process. Those that compute have a
lower one: queries leave the processors to the server, and can be cancelled on a busy machine.
"""

from __future__ import annotations

import os
import resource
import select
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock, Thread
from time import monotonic

import msgspec

from lbproto_query_worker.database import Database
from lbproto_query_worker.frames import (
    Cancel,
    Failed,
    Frames,
    FromEngine,
    FromWorker,
    Open,
    Pull,
    Ready,
    Refused,
    framed,
)
from lbproto_query_worker.queries import CANCELLED, TIMED_OUT, Query
from lbproto_query_worker.refusals import OUT_OF_MEMORY, STOPPED

__all__ = ["serve"]

_TICK = 0.02  # seconds between interrupts of a query that has to end
_PROGRESS = 0.2  # seconds between two tellings of progress
_STOP_SECONDS = 5.0  # seconds that queries may take to end when all is over
_NICENESS = 10  # of what computes
_SPARE_CPU = 10  # seconds of CPU time that a worker may need beside its queries

_DECODER: msgspec.msgpack.Decoder[FromEngine] = msgspec.msgpack.Decoder(FromEngine)


def serve(line: socket.socket, open_: Callable[[], Database], *, threads: int) -> None:
    """Serve the engine at the other end of `line` until that is closed; blocks.

    It ends by itself when DuckDB has failed, after which that does nothing any more.

    Args:
        line: a connected stream socket; closed at the end.
        open_: opens the catalogue.
        threads: how many DuckDB has, for the system to end this process when it needs more CPU
            time than they could have used; None for no bound.
    """
    with line:
        try:
            # DuckDB's threads have the priority of the one that starts them. In the server's own
            # process none is lower: Python lets one thread wait for another.
            with ThreadPoolExecutor(1, initializer=_be_nice if threads else None) as opener:
                database = opener.submit(open_).result()
        except Exception as error:  # noqa: BLE001 - the engine logs it
            with suppress(OSError):
                line.sendall(framed(Failed(f"{type(error).__name__}: {error}")))
            return
        server = _Server(line, database, threads)
        try:
            server.run()
        finally:
            server.close()


class _Server:
    def __init__(self, line: socket.socket, database: Database, threads: int) -> None:
        self._line = line
        self._database = database
        self._threads = threads
        self._sending = Lock()
        self._queries: dict[int, tuple[Query, Thread]] = {}
        self._told = monotonic()
        self._broken = False

    def run(self) -> None:
        self._send(Ready())
        frames = Frames()
        while not self._broken:
            timeout = _TICK if self._queries else None
            if select.select([self._line], [], [], timeout)[0]:
                data = self._line.recv(65536)
                if not data:
                    return
                for body in frames.feed(data):
                    self._take(_DECODER.decode(body))
            self._look_after()

    def close(self) -> None:
        """End what runs, as far as it reacts, then give the catalogue up."""
        end = monotonic() + _STOP_SECONDS
        while any(thread.is_alive() for _, thread in self._queries.values()):
            if monotonic() > end:
                return  # nobody is left to kill this process
            for query, thread in self._queries.values():
                query.end(STOPPED)
                if thread.is_alive():
                    thread.join(_TICK)
        self._database.close()

    def _take(self, message: FromEngine) -> None:
        if isinstance(message, Open):
            query = Query(message, self._send)
            name = f"query {message.id}"
            thread = Thread(target=self._run, args=(query,), name=name, daemon=True)
            self._queries[message.id] = query, thread
            self._allow_cpu(message.seconds)
            self._start(query, thread)
            return
        found = self._queries.get(message.id)
        if found is None:
            return  # it has ended meanwhile
        if isinstance(message, Pull):
            found[0].pulled()
        elif isinstance(message, Cancel):
            found[0].end(CANCELLED)

    def _start(self, query: Query, thread: Thread) -> None:
        """Begin a query, or try later: a neighbour may have all memory, and be refused soon."""
        try:
            thread.start()
        except RuntimeError:  # no room for its stack
            reason = OUT_OF_MEMORY if query.is_late(monotonic()) else query.reason
            if reason is not None:
                del self._queries[query.request.id]
                self._send(Refused(query.request.id, reason.code, reason.message))

    def _run(self, query: Query) -> None:
        if self._threads:
            _be_nice()
        query.run(self._database)

    def _look_after(self) -> None:
        now = monotonic()
        tell = now >= self._told + _PROGRESS
        if tell:
            self._told = now
        for id_, (query, thread) in list(self._queries.items()):
            if thread.ident is None:
                self._start(query, thread)
            elif not thread.is_alive():
                del self._queries[id_]
                self._broken = self._broken or query.broke
            elif query.reason is not None:
                query.end(query.reason)
            elif query.is_late(now):
                query.end(TIMED_OUT)
            elif tell:
                query.tell_progress()

    def _allow_cpu(self, seconds: float) -> None:
        if not self._threads:
            return
        usage = resource.getrusage(resource.RUSAGE_SELF)
        used = usage.ru_utime + usage.ru_stime
        seconds = sum(each.request.seconds for each, _ in self._queries.values())
        most = used + seconds * (self._threads + 1)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(most) + _SPARE_CPU, hard))

    def _send(self, message: FromWorker) -> None:
        with self._sending, suppress(OSError):  # the engine is gone: so is this, soon
            self._line.sendall(framed(message))


def _be_nice() -> None:
    os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)  # of this thread alone, under Linux
