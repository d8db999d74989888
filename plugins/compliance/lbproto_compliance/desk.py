"""The desk: what requests ask for, worked out in threads, each from one snapshot."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from anyio import CapacityLimiter, from_thread, to_thread

from lbproto import Job, span_bounds
from lbproto_compliance.addresses import parse
from lbproto_compliance.analysis.engine import analyse
from lbproto_compliance.analysis.report import Analysis, Method, Stage
from lbproto_compliance.analysis.weights import Weights
from lbproto_compliance.corridors import flows_of, parse_corridor
from lbproto_compliance.cursors import Cursors, key_of_store
from lbproto_compliance.events import (
    AddressAnalysis,
    AddressAnalysisProgress,
    AddressAnalysisResponse,
    AddressTransactions,
    AddressTransactionsResponse,
    CrossBorderFlows,
    CrossBorderFlowsResponse,
)
from lbproto_compliance.graph import Limits
from lbproto_compliance.pages import not_held, page
from lbproto_compliance.prices import Prices
from lbproto_compliance.store import Snapshot, Store

__all__ = ["Desk", "Manner"]

T = TypeVar("T")


class Manner(NamedTuple):
    """How analyses are made.

    Attributes:
        taint: how money is followed where it was mixed.
        weights: what a signal adds to a score.
        limits: how much of the graph is walked.
    """

    taint: Method
    weights: Weights
    limits: Limits


class Desk:
    """Works requests out. Its methods wait, and never hold the event loop up.

    Args:
        store: the chains' data.
        prices: for amounts in US dollars.
        manner: how analyses are made.
        workers: how many analyses and flows are worked on at a time.
    """

    _cursors: Cursors

    def __init__(self, store: Store, prices: Prices, manner: Manner, workers: int) -> None:
        self._store = store
        self._prices = prices
        self._manner = manner
        self._workers = CapacityLimiter(workers)

    async def open(self, key: bytes | None) -> None:
        """Get ready to answer.

        Args:
            key: signs cursors; None for the store's own.

        Raises:
            OSError: the store has none, and none can be written.
            ValueError: it is not a key.
        """
        if key is None:
            key = await to_thread.run_sync(key_of_store, self._store.directory)
        self._cursors = Cursors(key)

    async def holding(self, request: AddressAnalysis) -> Snapshot:
        """The newest snapshot, which has to know something of the request's address.

        Raises:
            NotFound: it does not, or there are no data of that chain.
        """

        def look() -> Snapshot:
            address = parse(request.chain, request.address)
            snapshot = self._store.chain(request.chain).latest()
            if not snapshot.holds(address) and address not in snapshot.attributions():
                raise not_held(request.chain)
            return snapshot

        return await to_thread.run_sync(look)

    async def analyse(
        self, job: Job[AddressAnalysis], snapshot: Snapshot
    ) -> AddressAnalysisResponse:
        """What there is to say about an address; tells the job's progress meanwhile."""
        request = job.request
        told: tuple[Stage, int] | None = None

        def step(stage: Stage, pct: float) -> None:
            nonlocal told
            from_thread.check_cancelled()
            if (stage, int(pct)) != told:  # to the event loop and back for whole percents only
                told = stage, int(pct)
                event = AddressAnalysisProgress(job_id=job.id, stage=stage, pct=pct)
                from_thread.run_sync(job.progress, event)

        def work() -> Analysis:
            step("resolve", 0)
            return analyse(
                snapshot.graph(),
                snapshot.attributions(),
                parse(request.chain, request.address),
                request.hops,
                chain=request.chain,
                taint=self._manner.taint,
                prices=self._prices,
                weights=self._manner.weights,
                limits=self._manner.limits,
                step=step,
            )

        found = await self._work(work)
        return AddressAnalysisResponse(
            job_id=job.id,
            risk_score=found.risk_score,
            risk_level=found.risk_level,
            clusters=found.clusters,
            signals=found.signals,
            truncated=found.truncated,
            taint=found.taint,
        )

    async def transactions(self, request: AddressTransactions) -> AddressTransactionsResponse:
        """A page of an address's transactions.

        Raises:
            NotFound: the chain or the address is not held, or what a cursor is of is gone.
            InvalidRequest: the cursor belongs to another address.
        """
        return await to_thread.run_sync(page, self._store, self._cursors, self._prices, request)

    async def flows(self, request: CrossBorderFlows, now_ms: int) -> CrossBorderFlowsResponse:
        """The flows along a corridor, of all chains.

        Args:
            request: what is asked for.
            now_ms: what its window looks back from, Unix milliseconds.

        Raises:
            NotFound: there is no such country.
            InvalidRequest: the corridor leads nowhere, or the window is not valid.
            LimitExceeded: there are too many flows in the window.
        """
        corridor = parse_corridor(request.corridor)
        begin_ms, end_ms = span_bounds(request.window, now_ms)

        def work() -> CrossBorderFlowsResponse:
            snapshots = [self._store.chain(name).latest() for name in self._store.chains()]
            check = from_thread.check_cancelled
            flows, totals = flows_of(snapshots, corridor, begin_ms, end_ms, self._prices, check)
            return CrossBorderFlowsResponse(
                corridor=request.corridor, flows=flows, totals_usd=totals
            )

        return await self._work(work)

    async def _work(self, work: Callable[[], T]) -> T:
        """Have a worker do it; where the request is cancelled meanwhile, `work` has to notice."""
        return await to_thread.run_sync(work, limiter=self._workers)
