"""What of the plugin begins and ends with a server's run, and answers what is asked of a market."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any, overload

from lbproto import Context, Server
from lbproto_market.archive import Archive
from lbproto_market.catalogue import Catalogue
from lbproto_market.events import MarketChartInitialData, MarketDataResponse, RequestMarketData
from lbproto_market.feeds import Feed
from lbproto_market.keeping import Keeping
from lbproto_market.leader import Nodes
from lbproto_market.live import Live as Sink
from lbproto_market.markets import DEFAULT_CANDLES
from lbproto_market.questions import Begin, Candles, Live, Question, Snapshot
from lbproto_market.resolutions import parse_resolution
from lbproto_market.supervisor import Supervisor
from lbproto_market.telling import Teller
from lbproto_market.watched import Watched

__all__ = ["Desk"]


class Desk:
    """A market on one node.

    Args:
        feeds: the sources.
        catalogue: what there is.
        history: how many closed candles are kept in memory.
        linger: seconds that feeds go on for when nobody needs them any more.
        patience: the most seconds that somebody waits for history.
        always: symbols whose feeds run from start to stop.
        archive: keeps closed candles.
        nodes: the others, one of which runs the feeds; None where there are none.
    """

    def __init__(
        self,
        feeds: Sequence[Feed],
        catalogue: Catalogue,
        *,
        history: int,
        linger: float,
        patience: float,
        always: frozenset[str],
        archive: Archive | None,
        nodes: Nodes | None,
    ) -> None:
        self._feeds = feeds
        self._catalogue = catalogue
        self._history = history
        self._linger = linger
        self._patience = patience
        self._always = always
        self._archive = archive
        self._nodes = nodes
        self._keepings: dict[str, Keeping] = {}
        self._server: Server
        self._teller: Teller
        self._watched: Watched
        self._supervisor: Supervisor

    @asynccontextmanager
    async def running(self, server: Server) -> AsyncIterator[None]:
        """The plugin's lifespan."""
        self._server = server
        if self._nodes is None:
            async with self._feeding():
                yield
            return
        for feed in self._feeds:  # also where another node runs them, for now
            await feed.check()
        async with self._nodes.running(server.clock, self._feeding):
            yield

    @asynccontextmanager
    async def _feeding(self) -> AsyncIterator[Desk]:
        """Run the feeds that somebody needs, here."""
        self._watched = Watched(self._server.clock)
        self._teller = Teller(self._server, None if self._nodes is None else self._watched)
        self._supervisor = Supervisor(
            self._feeds,
            self._server.clock,
            self._sink,
            self._teller.outage,
            linger=self._linger,
            patience=self._patience,
        )
        async with self._archive or nullcontext():
            try:
                async with self._supervisor.running():
                    for symbol in self._always:
                        self._supervisor.need(symbol)
                    yield self
            finally:
                for keeping in self._keepings.values():
                    keeping.close()

    def _sink(self, symbol: str) -> Sink:
        market = self._catalogue.market(symbol)
        return Sink(market, self._server.clock, self._teller, self._keeping(symbol))

    def _keeping(self, symbol: str) -> Keeping:
        """What of a symbol's market is kept."""
        keeping = self._keepings.get(symbol)
        if keeping is None:
            market = self._catalogue.market(symbol)
            keeping = self._keepings[symbol] = Keeping(market, self._archive, self._history)
        return keeping

    # Who needs what

    def watch(self, kind: str, occupied: bool, symbol: str, resolution: str = "") -> None:
        """Take what is told of the rooms: each one that somebody is in needs its symbol."""
        room = ":".join(filter(None, (kind, symbol, resolution)))
        if self._nodes is not None:
            (self._nodes.want if occupied else self._nodes.release)(room)
        elif occupied:
            self._need(symbol, room)
        else:
            self._supervisor.release(symbol)

    def _need(self, symbol: str, room: str) -> None:
        self._supervisor.need(symbol)
        for outage in self._supervisor.outages(symbol):  # told before anybody was in this room
            self._teller.outage(outage, [room])

    def need(self, room: str) -> None:
        """Clients of one more node are in a room; nothing happens where there is no such symbol."""
        symbol = self._symbol(room)
        if symbol is not None:
            self._watched.add(room)
            self._need(symbol, room)

    def release(self, room: str) -> None:
        """Those of one node are no more."""
        symbol = self._symbol(room)
        if symbol is not None:
            self._watched.remove(room)
            self._supervisor.release(symbol)

    def _symbol(self, room: str) -> str | None:
        """Whose room it is; a node of another version may know of more."""
        symbol = room.split(":")[1] if ":" in room else ""
        return symbol if symbol in self._catalogue.symbols else None

    # What is asked

    @overload
    async def ask(self, question: Snapshot, ctx: Context) -> MarketChartInitialData: ...
    @overload
    async def ask(self, question: Begin, ctx: Context) -> None: ...
    @overload
    async def ask(self, question: Candles) -> MarketDataResponse: ...
    @overload
    async def ask(self, question: Live) -> list[bool]: ...

    async def ask(self, question: Question, ctx: Context | None = None) -> Any:
        """The answer of the node that has the feeds.

        Args:
            ctx: of who joins a room with it.

        Raises:
            RequestError: it is refused.
        """
        if self._nodes is None:
            return await self.answer(question)
        if ctx is not None and not self._nodes.leads:
            # What is told while the answer is on its way may be newer than that. An update that is
            # older replaces a state by an older one, and by the same again: they come in order.
            ctx.mark_snapshot()
        return await self._nodes.ask(question, self._patience)

    async def answer(self, question: Question) -> Any:
        """The answer to a question, where the feeds are.

        Raises:
            RequestError: it is refused.
        """
        match question:
            case Snapshot(symbol, resolution, room):
                return await self._snapshot(symbol, resolution, room)
            case Candles(request):
                return await self._candles(request)
            case Begin(symbol, room):
                self._catalogue.venues(symbol)
                self._enter(room)
                async with self._supervisor.using(symbol):
                    return None
            case Live(symbols):
                return [self._supervisor.is_live(symbol) for symbol in symbols]

    def _enter(self, room: str) -> None:
        """Have it told from now on: that somebody is in it is heard of later."""
        if self._nodes is not None:
            self._watched.keep(room)

    async def _snapshot(self, symbol: str, resolution: str, room: str) -> MarketChartInitialData:
        cut = parse_resolution(resolution)
        chart = self._catalogue.market(symbol).charts[cut.name]
        async with self._supervisor.using(symbol):
            self._keeping(symbol).check()
            self._enter(room)
            return MarketChartInitialData(
                symbol=symbol,
                series=chart.newest(DEFAULT_CANDLES),
                resolution=cut.name,
                live=not self._supervisor.outages(symbol),
            )

    async def _candles(self, request: RequestMarketData) -> MarketDataResponse:
        market = self._catalogue.market(request.symbol)
        async with self._supervisor.using(request.symbol):
            keeping = self._keeping(request.symbol)
            keeping.check()
            query = market.query(request)
            older = await keeping.older(query)
            candles = market.answer(query, older)
            return MarketDataResponse(symbol=request.symbol, candles=candles)
