"""A TCP proxy that leads to one server, and from a moment on to another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from threading import Thread

__all__ = ["Switch"]


class Switch:
    """The proxy; runs in a thread of its own.

    Attributes:
        port: where it listens.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target: int | None = target
        self._over = asyncio.Event()
        self._is_held = False
        self._open: set[asyncio.StreamWriter] = set()

    async def _run(self, listening: Future[None]) -> None:
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            self.port = server.sockets[0].getsockname()[1]
            self._loop = asyncio.get_running_loop()
            listening.set_result(None)
            await self._over.wait()
            self._lose()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._target is None:
            writer.transport.abort()
            return
        self._open.add(writer)
        with suppress(OSError):
            there, onward = await asyncio.open_connection("127.0.0.1", self._target)
            self._open.add(onward)
            await asyncio.gather(_copy(reader, onward), _copy(there, writer, lambda: self._is_held))
            self._open.discard(onward)
        writer.close()
        self._open.discard(writer)

    @classmethod
    @contextmanager
    def to(cls, target: int) -> Iterator[Switch]:
        """A proxy to a port, while the body runs."""
        switch, listening = cls(target), Future[None]()
        thread = Thread(target=asyncio.run, args=(switch._run(listening),))
        thread.start()
        try:
            listening.result()
            yield switch
        finally:
            switch._loop.call_soon_threadsafe(switch._over.set)
            thread.join()

    def hold(self) -> None:
        """What the server says from now on comes nowhere, until `move`."""
        self._is_held = True

    def cut(self) -> None:
        """Lose all connections, and each that is made anew, until `move`."""
        self._target = None
        self._loop.call_soon_threadsafe(self._lose)

    def move(self, target: int) -> None:
        """Lead to another port; all connections are lost."""
        self._target = target
        self._loop.call_soon_threadsafe(self._lose)

    def _lose(self) -> None:
        self._is_held = False
        for writer in list(self._open):
            writer.transport.abort()


async def _copy(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    is_held: Callable[[], bool] = lambda: False,
) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            if not is_held():
                writer.write(data)
                await writer.drain()
    writer.close()
