"""A TCP proxy before a real server that loses connections, in every way that networks do."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum, auto
from random import Random
from threading import Thread

__all__ = ["Dropping", "Loss"]

_Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]

_SECONDS = 60
_CHUNK = 65_536
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: nothing is sent any more, not even a FIN


class Loss(Enum):
    """How a connection is lost."""

    RESET = auto()
    """At once, and both ends notice."""

    HALFWAY_DOWN = auto()
    """In the midst of what the server sends next."""

    HALFWAY_UP = auto()
    """In the midst of what the client sends next."""

    UNNOTICED = auto()
    """The client notices; for the server the connection goes on, and takes what it sends."""

    SILENT = auto()
    """Nothing comes through any more, and nobody is told."""


class _Pair:
    """A connection through the proxy, from both sides."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.loss: Loss | None = None

    @property
    def is_black_hole(self) -> bool:
        return self.loss in (Loss.UNNOTICED, Loss.SILENT)

    def lose(self, loss: Loss) -> None:
        self.loss = loss
        if loss is Loss.RESET:
            _reset(self.client)
            _reset(self.server)
        elif loss is Loss.UNNOTICED:
            _reset(self.client)


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    with suppress(OSError):  # closed already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()


class Dropping:
    """The proxy: for each client a line of its own, that is a port. Runs in a thread of its own.

    Args:
        port: the server's.
        lines: how many there are.
        seed: what `random_losses` depends on.

    Attributes:
        ports: of the lines.
    """

    def __init__(self, port: int, lines: int, seed: int) -> None:
        self.ports: list[int] = []
        self._port = port
        self._pairs: list[set[_Pair]] = [set() for _ in range(lines)]
        self._down: list[Loss | None] = [None] * lines
        self._random = [Random(f"{seed}-{line}") for line in range(lines)]  # noqa: S311 - no secret
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()

    def url(self, line: int, scheme: str = "http") -> str:
        """The server's address, through a line."""
        return f"{scheme}://127.0.0.1:{self.ports[line]}"

    def lose(self, line: int, loss: Loss) -> None:
        """Lose a line's connections; waits for one where there is none, as between two polls."""

        async def lose() -> None:
            while not self._lose(line, loss):  # noqa: ASYNC110 - a test's
                await asyncio.sleep(0.01)

        asyncio.run_coroutine_threadsafe(lose(), self._loop).result(_SECONDS)

    def _lose(self, line: int, loss: Loss) -> int:
        pairs = [pair for pair in self._pairs[line] if pair.loss is None]
        for pair in pairs:
            pair.lose(loss)
        return len(pairs)

    @contextmanager
    def down(self, line: int, loss: Loss) -> Iterator[None]:
        """Lose a line's connections, and each that is made anew while the body runs.

        A polling client has none that matters between two polls, and may not notice the loss of
        one that it only keeps for the next.
        """

        async def lose(loss: Loss | None) -> None:
            self._down[line] = loss
            if loss is not None:
                self._lose(line, loss)

        asyncio.run_coroutine_threadsafe(lose(loss), self._loop).result(_SECONDS)
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(lose(None), self._loop).result(_SECONDS)

    @contextmanager
    def random_losses(
        self, least: float, most: float, losses: Sequence[Loss] = tuple(Loss)
    ) -> Iterator[None]:
        """Lose each line again and again while the body runs, so many seconds apart."""

        async def lose_again(line: int) -> None:
            random = self._random[line]
            while True:
                await asyncio.sleep(random.uniform(least, most))
                self._lose(line, random.choice(losses))

        futures = [
            asyncio.run_coroutine_threadsafe(lose_again(line), self._loop)
            for line in range(len(self._pairs))
        ]
        try:
            yield
        finally:
            for future in futures:
                future.cancel()

    @classmethod
    @contextmanager
    def before(cls, port: int, lines: int = 1, seed: int = 0) -> Iterator[Dropping]:
        """A proxy that runs while the body does."""
        proxy = cls(port, lines, seed)
        thread = Thread(target=proxy._loop.run_forever)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(proxy._listen(), proxy._loop).result()
            yield proxy
        finally:
            asyncio.run_coroutine_threadsafe(proxy._end(), proxy._loop).result()
            proxy._loop.call_soon_threadsafe(proxy._loop.stop)
            thread.join()
            proxy._loop.close()

    async def _listen(self) -> None:
        self._servers = [
            await asyncio.start_server(self._accept(line), "127.0.0.1")
            for line in range(len(self._pairs))
        ]
        self.ports += [server.sockets[0].getsockname()[1] for server in self._servers]

    def _accept(self, line: int) -> _Accept:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(self._connect(line, reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(lambda _: writer.transport.abort())  # also if it never began

        return accept

    async def _connect(
        self, line: int, from_client: asyncio.StreamReader, client: asyncio.StreamWriter
    ) -> None:
        try:
            from_server, server = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            _reset(client)
            return
        pair = _Pair(client, server)
        self._pairs[line].add(pair)
        if (loss := self._down[line]) is not None:
            pair.lose(loss)
        try:
            await asyncio.gather(
                self._forward(line, pair, from_client, server, Loss.HALFWAY_UP),
                self._forward(line, pair, from_server, client, Loss.HALFWAY_DOWN),
            )
        finally:
            self._pairs[line].discard(pair)
            client.transport.abort()
            server.transport.abort()

    async def _forward(
        self,
        line: int,
        pair: _Pair,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        halfway: Loss,
    ) -> None:
        with suppress(OSError):
            while data := await source.read(_CHUNK):
                if pair.is_black_hole:
                    continue
                if pair.loss is halfway:
                    target.write(data[: self._random[line].randrange(len(data))])
                    await target.drain()
                    pair.lose(Loss.RESET)
                    return
                target.write(data)
                await target.drain()
        if not pair.is_black_hole:
            target.close()  # with all that came before

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # what is aborted is closed a turn later
