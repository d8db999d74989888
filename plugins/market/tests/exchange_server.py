"""A local exchange that speaks the public trade streams of Binance and Kraken, as far as ccxt asks.

It runs in a thread of its own, so that tests under any event loop can have it, and does what a test
says: publish trades, break connections, send what is malformed, answer with errors.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aiohttp import WSMsgType, web

BINANCE_SYMBOL = "BTC/USDT"
KRAKEN_SYMBOL = "BTC/USD"

_SECONDS = 60


class Dealt(NamedTuple):
    """A trade of the exchange, in its own words."""

    id: int
    timestamp_ms: int
    price: str
    amount: str
    side: str = "buy"


class ExchangeServer:
    """One exchange.

    Attributes:
        name: `binance` or `kraken`.
        trades: what its REST interface remembers.
        status: what it answers REST requests with; 200 for an answer.
        now: what its clock shows, in seconds.
        requests: the paths that were asked for.
        subscriptions: how many streams were subscribed to so far.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.symbol = BINANCE_SYMBOL if name == "binance" else KRAKEN_SYMBOL
        self.trades: list[Dealt] = []
        self.status = 200
        self.now: Callable[[], float] = time.time
        self.requests: list[str] = []
        self.subscriptions = 0
        self._loop = asyncio.new_event_loop()
        self._sockets: set[web.WebSocketResponse] = set()
        self._port = 0

    @property
    def config(self) -> dict[str, Any]:
        """What has ccxt's client come here."""
        http, ws = f"http://127.0.0.1:{self._port}", f"ws://127.0.0.1:{self._port}/ws"
        if self.name == "binance":
            api: dict[str, Any] = {"public": f"{http}/api/v3", "ws": {"spot": ws}}
        else:
            api = {"public": http, "ws": {"publicV2": ws}}
        return {"urls": {"api": api}, "enableRateLimit": False, "timeout_on_exit": 0}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve while the body runs."""
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        try:
            runner = self._call(self._start())
            yield
            self.disconnect()
            self._call(runner.cleanup())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(_SECONDS)
            self._loop.close()

    @property
    def streams(self) -> int:
        """How many connections are subscribed to trades."""
        return len(self._sockets)

    def publish(self, *trades: Dealt, kept: bool = True) -> None:
        """Trades happen.

        Args:
            kept: REST tells of them later.
        """
        if kept:
            self.trades += trades
        for text in self._frames(trades):
            self.send(text)

    def miss(self, *trades: Dealt) -> None:
        """Trades happen of which no stream tells."""
        self.trades += trades

    def send(self, text: str) -> None:
        """Send anything to whoever is subscribed."""

        async def send() -> None:
            for socket in list(self._sockets):
                await socket.send_str(text)

        self._call(send())

    def disconnect(self) -> None:
        """Break all streams without a word."""

        async def cut() -> None:
            for socket in list(self._sockets):
                assert socket._req is not None
                transport = socket._req.transport
                if transport is not None:
                    transport.abort()

        self._call(cut())

    def _call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_SECONDS)

    async def _start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/ws", self._stream)
        app.router.add_get("/ws/{hash}", self._stream)
        for path, answer in self._answers().items():
            app.router.add_get(path, self._rest(answer))
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self._port = runner.addresses[0][1]
        return runner

    def _rest(self, answer: Callable[[Any], Any]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            self.requests.append(request.path)
            if self.status != 200:
                return web.json_response({"code": -1000, "msg": "down"}, status=self.status)
            return web.json_response(answer(request.query))

        return handle

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            asked = json.loads(message.data)
            method = asked["method"].lower()
            if method == "ping":
                await socket.send_str('{"method": "pong"}')
                continue
            await socket.send_str(json.dumps(self._confirmation(asked)))
            if method == "subscribe":
                self.subscriptions += 1
                self._sockets.add(socket)
            else:
                self._sockets.discard(socket)
        self._sockets.discard(socket)
        return socket

    def _confirmation(self, asked: Any) -> Any:
        if self.name == "binance":
            return {"result": None, "id": asked["id"]}
        result = {"channel": "trade", "symbol": KRAKEN_SYMBOL}
        return {"method": asked["method"], "result": result, "success": True}

    def _frames(self, trades: tuple[Dealt, ...]) -> Iterator[str]:
        if self.name == "binance":
            for trade in trades:
                yield json.dumps(_binance_trade(trade))
        elif trades:
            # Numbers, as Kraken writes them: with all their digits.
            rows = ", ".join(
                f'{{"symbol": "{KRAKEN_SYMBOL}", "side": "{trade.side}", "price": {trade.price}, '
                f'"qty": {trade.amount}, "ord_type": "market", "trade_id": {trade.id}, '
                f'"timestamp": "{_iso(trade.timestamp_ms)}"}}'
                for trade in trades
            )
            yield f'{{"channel": "trade", "type": "update", "data": [{rows}]}}'

    def _answers(self) -> dict[str, Callable[[Any], Any]]:
        if self.name == "binance":
            return {
                "/api/v3/exchangeInfo": _exchange_info,
                "/api/v3/aggTrades": self._agg_trades,
                "/api/v3/time": lambda _query: {"serverTime": int(self.now() * 1000)},
            }
        return {
            "/0/public/Time": lambda _query: {"error": [], "result": {"unixtime": int(self.now())}},
            "/0/public/Assets": _assets,
            "/0/public/AssetPairs": _asset_pairs,
            "/0/public/Trades": self._kraken_trades,
        }

    def _agg_trades(self, query: Any) -> Any:
        since, limit = int(query.get("startTime", 0)), int(query.get("limit", 500))
        found = sorted(trade for trade in self.trades if trade.timestamp_ms >= since)[:limit]
        rows = [_binance_trade(trade) for trade in found]
        return [{key: row[key] for key in "apqflTmM"} for row in rows]

    def _kraken_trades(self, query: Any) -> Any:
        since_ms = float(query.get("since", 0)) * 1000
        rows = [
            [
                *(trade.price, trade.amount, trade.timestamp_ms / 1000),
                *(trade.side[0], "m", "", trade.id),
            ]
            for trade in sorted(self.trades)
            if trade.timestamp_ms >= since_ms
        ][:1000]
        return {"error": [], "result": {"XXBTZUSD": rows, "last": "1541439421200678657"}}


def _iso(timestamp_ms: int) -> str:
    moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _binance_trade(trade: Dealt) -> dict[str, Any]:
    return {
        "e": "aggTrade",
        "E": trade.timestamp_ms,
        "s": "BTCUSDT",
        "a": trade.id,
        "p": trade.price,
        "q": trade.amount,
        "f": trade.id,
        "l": trade.id,
        "T": trade.timestamp_ms,
        "m": trade.side == "sell",
        "M": True,
    }


def _exchange_info(_query: Any) -> Any:
    symbol = {
        "symbol": "BTCUSDT",
        "status": "TRADING",
        "baseAsset": "BTC",
        "baseAssetPrecision": 8,
        "quoteAsset": "USDT",
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "orderTypes": ["LIMIT", "MARKET"],
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "permissions": ["SPOT"],
        "permissionSets": [["SPOT"]],
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00",
             "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0",
             "stepSize": "0.00001"},
        ],
    }  # fmt: skip
    return {"timezone": "UTC", "serverTime": 0, "rateLimits": [], "symbols": [symbol]}


def _assets(_query: Any) -> Any:
    asset = {"aclass": "currency", "decimals": 10, "display_decimals": 5, "status": "enabled"}
    return {
        "error": [],
        "result": {
            "XXBT": {**asset, "altname": "XBT"},
            "ZUSD": {**asset, "altname": "USD"},
        },
    }


def _asset_pairs(_query: Any) -> Any:
    pair = {
        "altname": "XBTUSD", "wsname": "XBT/USD", "aclass_base": "currency", "base": "XXBT",
        "aclass_quote": "currency", "quote": "ZUSD", "lot": "unit", "cost_decimals": 5,
        "pair_decimals": 1, "lot_decimals": 8, "lot_multiplier": 1, "leverage_buy": [],
        "leverage_sell": [], "fees": [[0, 0.4]], "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD", "margin_call": 80, "margin_stop": 40,
        "ordermin": "0.00005", "costmin": "0.5", "tick_size": "0.1", "status": "online",
    }  # fmt: skip
    return {"error": [], "result": {"XXBTZUSD": pair}}
