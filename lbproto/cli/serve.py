"""Serving an app by uvicorn, and an end that keeps nobody waiting."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, closing, contextmanager
from typing import Any

import uvicorn

from lbproto import Server
from lbproto.asgi.uvicorn import WebSocketProtocol
from lbproto.cli.draining import drain
from lbproto.cli.failure import Failure
from lbproto.cli.keeper import Keeper
from lbproto.cli.loading import Target

__all__ = ["serve"]

_COLLECT_AFTER = (50_000, 20, 20)  # new objects; younger generations' collections
_TURNS_SECONDS = 1
_STOP_SECONDS = 1  # what any other request is left, however long the drain has taken
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(
    target: Target,
    sockets: Sequence[socket.socket],
    keeper: Keeper,
    *,
    drain_seconds: float,
    aim: str = "start",
) -> None:
    """Serve until SIGINT or SIGTERM; returns within the time for the drain and three seconds.

    The port is free as soon as the signal has come, so that a successor can listen on it while
    this process drains. A second SIGINT ends the drain.

    Args:
        target: what to serve.
        sockets: where; closed at the end.
        keeper: told how it gets on.
        drain_seconds: how long connections are closed over.
        aim: what the user wanted, for "cannot ...: why".

    Raises:
        Failure: the server cannot start.
    """
    config = uvicorn.Config(
        target.app,
        # `Target.lifespan` is run around it: what keeps it from starting is then an exception here.
        lifespan="off",
        log_config=None,
        access_log=False,
        ws=WebSocketProtocol,
        ws_per_message_deflate=False,
    )
    if target.server is not None:
        config.ws_max_size = target.server.settings.max_payload
    with ExitStack() as stack:
        for listener in sockets:
            stack.enter_context(closing(listener))
        runner = stack.enter_context(asyncio.Runner(loop_factory=config.get_loop_factory()))
        server = _Uvicorn(config, target.server, keeper, drain_seconds)
        runner.run(_run(target, sockets, server, aim))


async def _run(
    target: Target, sockets: Sequence[socket.socket], server: _Uvicorn, aim: str
) -> None:
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(target.lifespan(server.state))
        except (OSError, EOFError, RuntimeError) as error:  # a UsageError is a RuntimeError
            raise Failure(f"cannot {aim}: {error}") from error
        except Exception as error:
            raise Failure(f"cannot {aim}: see above", error) from error
        await server.serve(list(sockets))


def _spare_the_collector() -> None:
    """Have the garbage collector look less often at what lives long: connections and sessions.

    By its defaults a quarter of what it costs to let a client in is spent on looking once more at
    those that are in already.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


class _Uvicorn(uvicorn.Server):
    """Uvicorn, with lbproto's connections drained before it ends them all in one moment."""

    def __init__(
        self,
        config: uvicorn.Config,
        server: Server | None,
        keeper: Keeper,
        drain_seconds: float,
    ) -> None:
        super().__init__(config)
        config.callback_notify = self._turns
        config.timeout_notify = _TURNS_SECONDS
        self.state: dict[str, Any] = {}  # what the app's lifespan gives to its requests
        self._server = server
        self._keeper = keeper
        self._drain_seconds = drain_seconds

    async def _turns(self) -> None:
        if not self._keeper.turns():
            self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Uvicorn's own raises the signal again afterwards, before our lifespan has ended.
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.lifespan.state.update(self.state)
        await super().startup(sockets)
        _spare_the_collector()
        self._keeper.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in self.servers:
            listener.close()
        self._keeper.stopping()
        end = time.monotonic() + self._drain_seconds
        if self._server is not None:
            shown = self._keeper.has_terminal
            await drain(self._server, self._drain_seconds, lambda: self.force_exit, shown=shown)
        left = 0 if self.force_exit else round(end - time.monotonic())
        self.config.timeout_graceful_shutdown = max(_STOP_SECONDS, left)
        await super().shutdown(sockets)
