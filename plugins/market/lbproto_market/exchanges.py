"""Live trades of an exchange as a feed, by way of ccxt."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from anyio import TASK_STATUS_IGNORED, to_thread
from anyio.abc import TaskStatus

from lbproto import Clock
from lbproto.backends.bridge import Bridge
from lbproto_market.ccxt_client import ExchangeClient, check_exchange
from lbproto_market.feeds import Sink
from lbproto_market.trades import Trade

__all__ = ["CcxtFeed"]

logger = logging.getLogger(__name__)

_FAREWELL = 2.0  # seconds that taking leave of an exchange may take


class CcxtFeed:
    """Trades of one exchange, as they happen.

    What is missed while a connection is lost is asked for when it is back; the log says where that
    does not reach far enough.

    Args:
        exchange: its id in ccxt, such as `binance` or `kraken`; it is the venue's name too.
        symbols: in ccxt's spelling, such as `BTC/USDT`; the exchange is asked whether it has them
            when somebody needs them. Contracts, such as `BTC/USDT:USDT`, have a colon in their
            names and cannot be had.
        history: seconds of trades that are asked for at the start, 0 or more.
        config: what ccxt's class is made with, such as `{"httpsProxy": "..."}`.

    Raises:
        ValueError: no symbols, or one with a colon, or a history below 0.
    """

    def __init__(
        self,
        exchange: str,
        symbols: Collection[str],
        *,
        history: float = 600.0,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        if odd := [symbol for symbol in symbols if ":" in symbol]:
            raise ValueError(
                f"a colon parts the names of rooms, so contracts cannot be had, but spot: {odd}"
            )
        if not symbols or not 0 <= history < float("inf"):
            raise ValueError(f"some symbols, and a history of 0 s or more, not {history!r}")
        self.symbols: Mapping[str, Collection[str]] = dict.fromkeys(symbols, (exchange,))
        self._exchange = exchange
        self._history_ms = int(history * 1000)
        self._config = dict(config or {})
        self._newest: dict[str, Trade] = {}
        self._users = 0
        self._opening: anyio.Lock
        self._connection: _Connection

    @property
    def label(self) -> str:
        """That it is live, and where from."""
        return f"live trades of {self._exchange}"

    async def check(self) -> None:
        """See `Feed.check`.

        Raises:
            UsageError: ccxt is not installed, or does not know the exchange.
        """
        check_exchange(self._exchange)
        self._opening = anyio.Lock()
        self._users = 0

    async def run(
        self,
        symbol: str,
        sink: Sink,
        clock: Clock,
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
    ) -> None:
        """Put in what happens, until the connection breaks; see `Feed.run`.

        Raises:
            Exception: ccxt's: the exchange is out of reach, has no such symbol, or broke off.
        """
        failure: Exception | None = None
        async with self._connected() as connection:
            await self._fill(connection, symbol, sink, clock)
            task_status.started()
            theirs_ms = await connection.time()
            delay = _Delay(None if theirs_ms is None else int(clock.now() * 1000) - theirs_ms)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_keep_time, sink, clock, delay)
                try:
                    await self._follow(connection, symbol, sink, clock, delay)
                except Exception as error:  # noqa: BLE001 - raised again where no group wraps it
                    failure = error
                except anyio.get_cancelled_exc_class():
                    await connection.unwatch(symbol)
                    raise
                tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _follow(
        self, connection: _Connection, symbol: str, sink: Sink, clock: Clock, delay: _Delay
    ) -> None:
        await connection.begin(symbol)
        trades = await connection.watch(symbol)
        # From here on nothing is missed; what happened between the history and this is asked for.
        await self._fill(connection, symbol, sink, clock)
        while True:
            newest = self._newest.get(symbol)
            self._put(symbol, sink, trades)
            if newest is not None and trades and max(trades) > newest:
                delay.saw(int(clock.now() * 1000) - max(trades).timestamp_ms)
            trades = await connection.watch(symbol)

    async def _fill(self, connection: _Connection, symbol: str, sink: Sink, clock: Clock) -> None:
        """Put in what has happened since the newest trade that is known, or the history begins."""
        newest = self._newest.get(symbol)
        since_ms = int(clock.now() * 1000) - self._history_ms
        if newest is not None:
            since_ms = min(newest.timestamp_ms, int(clock.now() * 1000))
        trades = await connection.past(symbol, since_ms)
        if newest is not None and trades and trades[0].timestamp_ms > newest.timestamp_ms:
            logger.warning(
                "%s: trades of %s are missing from %d to %d (Unix milliseconds): the exchange does "
                "not tell of them any more, and the candles of that time are not whole",
                *(self._exchange, symbol, newest.timestamp_ms, trades[0].timestamp_ms),
            )
        while trades:
            self._put(symbol, sink, trades)
            # An answer tells of so many; the next one begins with the last of this one.
            later = await connection.past(symbol, trades[-1].timestamp_ms)
            trades = later if later and later[-1] > trades[-1] else []

    def _put(self, symbol: str, sink: Sink, trades: Sequence[Trade]) -> None:
        if trades:
            sink.add(trades)
            self._newest[symbol] = max(*trades, self._newest.get(symbol, trades[0]))

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[_Connection]:
        """The connection that all symbols share; it is there while somebody needs it."""
        async with self._opening:
            if not self._users:
                self._connection = _Connection(self._exchange, self._config)
                await self._connection.open()
            self._users += 1
        try:
            yield self._connection
        finally:
            with anyio.CancelScope(shield=True):
                async with self._opening:
                    self._users -= 1
                    if not self._users:
                        await self._connection.close()


class _Connection:
    """An exchange, in a thread of its own: ccxt reads megabytes of JSON at once."""

    def __init__(self, exchange: str, config: Mapping[str, Any]) -> None:
        self._client = ExchangeClient(exchange, config)
        self._thread = Bridge(apart=True)

    async def open(self) -> None:
        # The import takes seconds, and here it holds up nobody.
        await to_thread.run_sync(__import__, "ccxt.pro")
        await self._thread.__aenter__()
        try:
            await self._thread.call(self._client.open)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(_FAREWELL), suppress(Exception):
                await self._thread.call(self._client.close)
            await self._thread.__aexit__(None, None, None)

    async def past(self, symbol: str, since_ms: int) -> list[Trade]:
        return await self._thread.call(self._client.past, symbol, since_ms)

    async def begin(self, symbol: str) -> None:
        await self._thread.call(self._client.begin, symbol)

    async def time(self) -> int | None:
        return await self._thread.call(self._client.time)

    async def watch(self, symbol: str) -> list[Trade]:
        return await self._thread.call(self._client.watch, symbol)

    async def unwatch(self, symbol: str) -> None:
        with anyio.move_on_after(_FAREWELL, shield=True), suppress(Exception):
            await self._thread.call(self._client.unwatch, symbol)


class _Delay:
    """How far behind our clock an exchange's trades come: the way here, and its clock's error.

    Args:
        behind_ms: how far its clock is behind ours; None where it does not tell.
    """

    _MARGIN_MS = 1_000
    _MAX_MS = 600_000

    def __init__(self, behind_ms: int | None) -> None:
        self._seen: deque[int] = deque(maxlen=50)
        if behind_ms is not None:
            self.saw(behind_ms)

    def saw(self, behind_ms: int) -> None:
        """A trade has come so many milliseconds after it was made, by the two clocks."""
        self._seen.append(max(-self._MAX_MS, min(behind_ms, self._MAX_MS)))

    @property
    def milliseconds(self) -> int | None:
        """Long enough for nearly all; None as long as nothing is known."""
        return max(self._seen) + self._MARGIN_MS if self._seen else None


async def _keep_time(sink: Sink, clock: Clock, delay: _Delay) -> None:
    """Let event time pass while nothing is traded: as far behind as the trades are."""
    while True:
        behind_ms = delay.milliseconds
        if behind_ms is not None:
            sink.advance(int(clock.now() * 1000) - behind_ms)
        await clock.sleep(0.5)
