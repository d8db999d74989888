"""One exchange, as ccxt reaches it: trades in our terms. For the event loop that ccxt runs in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lbproto import UsageError
from lbproto_market.trades import MalformedTrade, Trade, parse_trade

__all__ = ["ExchangeClient", "check_exchange", "read_trades"]

logger = logging.getLogger(__name__)

# What ccxt does not choose by itself. Binance: its trades are told by their aggregate ids, as it is
# those that the past can be asked for by time.
_OPTIONS: dict[str, dict[str, Any]] = {
    "binance": {
        "fetchMarkets": {"types": ["spot"]},
        "watchTradesForSymbols": {"name": "aggTrade"},
    },
}

_TRADES_KEPT = 5_000  # that ccxt keeps between two calls, per symbol
_PING_EVERY_MS = 15_000
_HIGHEST_ID = (1 << 63) - 1
_HASH_BITS = 21


def check_exchange(exchange: str) -> None:
    """Make sure that ccxt is installed and has this exchange. Reads no more than a directory.

    Raises:
        UsageError: it is not so.
    """
    spec = find_spec("ccxt")
    if spec is None or spec.origin is None:
        raise UsageError("exchanges are reached by ccxt: install the extra, lbproto-market[ccxt]")
    known = Path(spec.origin).parent / "pro" / f"{exchange}.py"
    if not exchange.isidentifier() or not known.exists():
        raise UsageError(
            f"ccxt has no stream of an exchange {exchange!r}; see ccxt.pro.exchanges for all"
        )


class _Stream:
    """What has come of a symbol and was not taken yet."""

    pump: asyncio.Task[None]

    def __init__(self) -> None:
        self.trades: list[Trade] = []
        self.changed = asyncio.Event()


class ExchangeClient:
    """One exchange's trades. Asyncio's.

    Args:
        exchange: its id in ccxt.
        config: what ccxt's class is made with, beside our own.
    """

    def __init__(self, exchange: str, config: Mapping[str, Any]) -> None:
        self._venue = exchange
        self._config = config
        self._exchange: Any = None
        # The symbols that are watched, and which of them have lost their stream since that began.
        self._watched: set[str] = set()
        self._lost: set[str] = set()
        self._streams: dict[str, _Stream] = {}

    async def open(self) -> None:
        """Learn what is traded there.

        Raises:
            Exception: ccxt's; it cannot be reached, or answers what it should not.
        """
        made = import_module(f"ccxt.pro.{self._venue}")
        guarded = _guarded(getattr(made, self._venue), self._gone)
        exchange = guarded({"number": str, **self._config})
        exchange.options["tradesLimit"] = _TRADES_KEPT
        exchange.options.update(_OPTIONS.get(self._venue, {}))
        every = min(exchange.streaming.get("keepAlive", _PING_EVERY_MS), _PING_EVERY_MS)
        exchange.streaming = {**exchange.streaming, "keepAlive": every}
        self._exchange = exchange
        await exchange.load_markets()

    async def close(self) -> None:
        """Give everything up."""
        for symbol in list(self._streams):
            self._end(symbol)
        if self._exchange is not None:
            await self._exchange.close()

    async def time(self) -> int | None:
        """What the exchange's clock shows, in Unix milliseconds; None where it does not tell.

        Raises:
            Exception: ccxt's.
        """
        if not self._exchange.has["fetchTime"]:
            return None
        return int(await self._exchange.fetch_time())

    async def past(self, symbol: str, since_ms: int) -> list[Trade]:
        """The trades since a moment (Unix milliseconds), oldest first, as far as one answer goes.

        Raises:
            Exception: ccxt's.
        """
        if not self._exchange.has["fetchTrades"]:
            return []
        trades = await self._exchange.fetch_trades(symbol, since=since_ms)
        return sorted(read_trades(trades, self._venue))

    async def begin(self, symbol: str) -> None:
        """Be about to watch a symbol; from here on it is told if its stream is lost."""
        self._watched.add(symbol)
        self._lost.discard(symbol)
        self._end(symbol)
        stream = self._streams[symbol] = _Stream()
        stream.pump = asyncio.ensure_future(self._pump(symbol))

    def _end(self, symbol: str) -> None:
        stream = self._streams.pop(symbol, None)
        if stream is not None and not stream.pump.cancel() and not stream.pump.cancelled():
            stream.pump.exception()  # whoever watched has heard of it

    async def watch(self, symbol: str) -> list[Trade]:
        """Wait for trades; those since the last call.

        Raises:
            Exception: ccxt's; the stream is broken.
            ConnectionError: it was in the meantime. By itself ccxt begins another one then, and
                says nothing of what was missed.
        """
        stream = self._streams[symbol]
        await stream.changed.wait()
        stream.changed.clear()
        trades, stream.trades = stream.trades, []
        if stream.pump.done():
            stream.changed.set()
            stream.pump.result()
        return trades

    async def _pump(self, symbol: str) -> None:
        """Take what comes at once: what comes while nobody waits, ccxt tells only with the next."""
        stream = self._streams[symbol]
        try:
            while symbol not in self._lost:
                trades = await self._exchange.watch_trades(symbol)
                if symbol not in self._lost:
                    stream.trades += read_trades(trades, self._venue)
                    stream.changed.set()
            raise ConnectionError(f"the connection to {self._venue} was lost")
        finally:
            stream.changed.set()

    def _gone(self, client: Any) -> None:
        """A connection is over: each symbol that it was for has lost its stream."""
        streams = [stream for stream in map(str, client.subscriptions) if "/" in stream]
        self._lost.update(
            symbol
            for symbol in self._watched
            if not streams or any(symbol in stream for stream in streams)
        )

    async def unwatch(self, symbol: str) -> None:
        """Have the stream of a symbol end, where the exchange can do that.

        Raises:
            Exception: ccxt's.
        """
        self._end(symbol)
        if self._exchange.has["unWatchTrades"]:
            await self._exchange.un_watch_trades(symbol)


def read_trades(trades: Iterable[Mapping[str, Any]], venue: str) -> list[Trade]:
    """Trades as ccxt has them (with `number` set to `str`) in our terms, in their order.

    What is not a trade is left out, and the log says so.

    An id that is a number stays as it is. Any other becomes a number that grows with time: the
    timestamp, and some bits of the id's digest. Where there is no id at all, it is the content that
    is digested, with a count of those that are the same.
    """
    read: list[Trade] = []
    same: dict[str, int] = {}
    for raw in trades:
        try:
            read.append(_read(raw, venue, same))
        except MalformedTrade as reason:
            logger.warning("%s: a trade is left out: %s", venue, reason)
    return read


def _read(raw: Mapping[str, Any], venue: str, same: dict[str, int]) -> Trade:
    timestamp = raw.get("timestamp")
    price, amount, side = str(raw.get("price")), str(raw.get("amount")), str(raw.get("side"))
    name = raw.get("id")
    if isinstance(name, str) and _is_number(name):
        number = int(name)
    elif not isinstance(timestamp, int):
        number = 0  # it is not a trade in any case
    else:
        if name is None:
            name = f"{timestamp} {price} {amount} {side}"
            nth = same[name] = same.get(name, 0) + 1
            name = f"{name} {nth}"
        digest = int.from_bytes(blake2b(str(name).encode(), digest_size=8).digest())
        number = timestamp << _HASH_BITS | digest & ((1 << _HASH_BITS) - 1)
    return parse_trade(str(timestamp), str(number), price, amount, side, venue=venue)


def _is_number(name: str) -> bool:
    return name.isascii() and name.isdecimal() and len(name) < 20 and int(name) <= _HIGHEST_ID


def _guarded(base: Any, gone: Callable[[Any], None]) -> Any:
    """A class of ccxt's whose connections end where a message cannot be read, and say when they do.

    By itself ccxt stops reading then, without anybody being told: the stream would be silent.

    Args:
        gone: called with each connection that is over, once.
    """

    def client(self: Any, url: str) -> Any:
        known = url in (self.clients or {})
        made = base.client(self, url)
        if not known:
            made.handle_message = _Guard(made)
        return made

    def on_error(self: Any, client: Any, error: Any) -> None:
        over(client)
        base.on_error(self, client, error)

    def on_close(self: Any, client: Any, code: Any) -> None:
        over(client)
        base.on_close(self, client, code)

    def over(client: Any) -> None:
        if isinstance(client.handle_message, _Guard) and not client.handle_message.over:
            client.handle_message.over = True
            gone(client)

    methods = {"client": client, "on_error": on_error, "on_close": on_close}
    return type(base.__name__, (base,), methods)


class _Guard:
    """Takes a connection's messages.

    Attributes:
        over: whether the connection is.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._handle = client.handle_message
        self.over = False

    def __call__(self, message: Any) -> None:
        try:
            self._handle(message)
        except Exception as error:  # noqa: BLE001 - whoever waits for the stream is told
            reason = f"{self._client.url} has sent what cannot be read: {error!r:.200}"
            self._client.on_error(ConnectionError(reason))
