"""A worker as its engine sees it: started, spoken to, left idle, killed.

Theory of operation. One task per worker starts it and reads what it says until the line is closed:
by a worker that has died or was killed, or by this side, when nobody has needed it for a while. All
that it was doing then fails at once. Nothing here waits for a worker to take a message: those go
into a queue, which holds no more than a few words per query.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from contextlib import suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import anyio
import msgspec
from anyio.abc import ByteStream, TaskGroup, UNIXSocketStream

from lbproto import Overloaded
from lbproto_query.catalogues import Catalogue
from lbproto_query.engines import QueryRequest
from lbproto_query.estimates import Pace
from lbproto_query.hosts import Host
from lbproto_query.sizes import CHUNK_BYTES
from lbproto_query.streams import WINDOW, WorkerStream
from lbproto_query_worker.frames import (
    Broken,
    Cancel,
    Failed,
    Frames,
    FromEngine,
    FromWorker,
    Open,
    Pull,
    Ready,
    framed,
)

__all__ = ["Worker", "WorkerLimits"]

logger = logging.getLogger(__name__)

_DECODER: msgspec.msgpack.Decoder[FromWorker] = msgspec.msgpack.Decoder(FromWorker)


class WorkerLimits(NamedTuple):
    """See `DuckDBEngine`."""

    queries: int
    idle: float
    start: float
    grace: float


class Worker:
    """One worker for one version of a catalogue. `run` it, then `open` queries.

    Args:
        host: what it runs in.
        catalogue: what it opens.
        limits: bounds of it.
    """

    def __init__(self, host: Host, catalogue: Catalogue, limits: WorkerLimits) -> None:
        self.host = host
        self.catalogue = catalogue
        self.closed = False
        """Takes no more queries."""
        self._limits = limits
        self._streams: dict[int, WorkerStream] = {}
        self._ids = count()
        self._ready = anyio.Event()
        self._outgoing: deque[bytes] = deque()
        self._wake = anyio.Event()
        self._changed = anyio.Event()
        self._line: socket.socket | None = None
        self._stopped = False
        self._reason = "The query's worker has stopped; try again"

    @property
    def is_idle(self) -> bool:
        """It has no queries."""
        return not self._streams

    def retire(self) -> None:
        """Take no more queries, and stop once those that run have ended."""
        self.closed = True
        self._changed.set()

    def kill(self, reason: str) -> None:
        """End it and all that it does; `reason` is told to the clients."""
        self.closed = True
        self._reason = reason
        self.host.kill()
        self.stop()

    def stop(self) -> None:
        """End it as soon as it notices: its queries are interrupted, and fail."""
        self.closed = self._stopped = True
        if self._line is not None:
            with suppress(OSError):  # it has ended
                self._line.shutdown(socket.SHUT_RDWR)

    async def open(
        self, request: QueryRequest, estimated_ms: int | None, pace: Pace
    ) -> WorkerStream:
        """Begin a query.

        Args:
            request: the query.
            estimated_ms: how long its like took, if that is known.
            pace: how fast the application's queries are.

        Raises:
            Overloaded: it has as many as it may, or could not be started.
        """
        if len(self._streams) >= self._limits.queries:
            message = "Too many queries of this application run at once; try again"
            raise Overloaded(message, retry_after=1)
        id_, limits = next(self._ids), request.limits
        stream = WorkerStream(
            estimated_ms,
            pace,
            round(limits.seconds * 1000),
            lambda: self._post(Pull(id_)),
            limits.seconds + self._limits.grace,
            self._hung,
            request.trace,
        )
        self._streams[id_] = stream
        self._changed.set()
        try:
            await self._ready.wait()
        except BaseException:
            self._forget(id_)
            raise
        if id_ not in self._streams:
            raise Overloaded(self._reason)
        self._post(
            Open(
                id=id_,
                sql=request.sql,
                params=request.params,
                arrays=request.arrays,
                msgpack=request.msgpack,
                seconds=limits.seconds,
                patience=limits.patience,
                rows=limits.rows,
                row_bytes=limits.row_bytes,
                chunk_bytes=CHUNK_BYTES,
                window=WINDOW,
                trace=None if request.trace is None else request.trace.parent,
            )
        )
        return stream

    def abandon(self, stream: WorkerStream, tasks: TaskGroup) -> None:
        """Cancel a query that may be under way; a worker that does not react is killed."""
        for id_, each in self._streams.items():
            if each is stream:
                self._post(Cancel(id_))
                tasks.start_soon(self._await_end, stream)

    async def run(self) -> None:
        """Start it and stay with it until it has ended; raises nothing."""
        ours, theirs = socket.socketpair()
        self._line = ours
        if self._stopped:  # before it began
            self.stop()
        with TemporaryDirectory(prefix="lbproto-query-") as folder:
            try:
                with anyio.CancelScope(shield=True):  # uvloop forgets a process that half started
                    await self.host.start(theirs, self.catalogue, Path(folder))
                line = await UNIXSocketStream.from_socket(ours)
                async with line, anyio.create_task_group() as tasks:
                    tasks.start_soon(self._write, line)
                    tasks.start_soon(self._watch)
                    await self._read(line)
                    tasks.cancel_scope.cancel()
            except OSError:
                logger.exception("a query worker cannot be started")
            finally:
                ours.close()
                self.closed = True
                self._ready.set()
                for id_ in list(self._streams):
                    self._forget(id_).fail(Overloaded(self._reason))
                with anyio.CancelScope(shield=True):
                    await self.host.join(self._limits.grace)

    async def _read(self, line: ByteStream) -> None:
        frames = Frames()
        while True:
            try:
                data = await line.receive(4 * CHUNK_BYTES)
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return
            try:
                for body in frames.feed(data):
                    self._take(_DECODER.decode(body))
            except (ValueError, msgspec.MsgspecError):  # whatever has got hold of it
                logger.exception("a query worker says what makes no sense and is killed")
                self.kill(self._reason)
                return

    def _take(self, message: FromWorker) -> None:
        if isinstance(message, Ready):
            self._ready.set()
            return
        if isinstance(message, Failed):
            logger.error("a catalogue cannot be opened: %s", message.reason)
            self._reason = "The application's catalogue cannot be opened"
            return
        if isinstance(message, Broken):
            logger.error("a query has made DuckDB fail; its worker is replaced")
            self.retire()
            return
        stream = self._streams.get(message.id)
        if stream is None:
            return
        stream.put(message)
        if stream.ended.is_set():
            self._forget(message.id)

    async def _write(self, line: ByteStream) -> None:
        while True:
            while self._outgoing:
                data = b"".join(self._outgoing)
                self._outgoing.clear()
                try:
                    await line.send(data)
                except anyio.BrokenResourceError:
                    return  # whoever reads notices, too
            self._wake = anyio.Event()
            await self._wake.wait()

    async def _watch(self) -> None:
        """Stop it when it does not get ready in time, or when nobody has needed it for a while."""
        with anyio.move_on_after(self._limits.start):
            await self._ready.wait()
        if not self._ready.is_set():
            self.kill("The application's catalogue takes too long to open")
        while self._streams or not self.closed:
            self._changed = anyio.Event()
            if self._streams or self.closed:
                await self._changed.wait()
                continue
            with anyio.move_on_after(self._limits.idle) as rest:
                await self._changed.wait()
            if rest.cancelled_caught and self.is_idle:
                break
        self.stop()

    async def _await_end(self, stream: WorkerStream) -> None:
        with anyio.move_on_after(self._limits.grace):
            await stream.ended.wait()
        if not stream.ended.is_set():
            self._hung()

    def _hung(self) -> None:
        logger.warning("a query worker does not react and is killed")
        self.kill("The query's worker had to be stopped; try again")

    def _post(self, message: FromEngine) -> None:
        if not self.closed or self._streams:
            self._outgoing.append(framed(message))
            self._wake.set()

    def _forget(self, id_: int) -> WorkerStream:
        stream = self._streams.pop(id_)
        self._changed.set()
        return stream
