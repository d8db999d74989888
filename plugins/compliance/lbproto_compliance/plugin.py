"""The plugin: an analysis is a job in a worker thread, all else is answered at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import get_args

from lbproto import Context, Job, LimitExceeded, Plugin, Server
from lbproto_compliance.analysis.report import MAX_HOPS, Method
from lbproto_compliance.analysis.weights import DEFAULT_WEIGHTS, Weights
from lbproto_compliance.desk import Desk, Manner
from lbproto_compliance.events import (
    JOBS,
    AddressAnalysis,
    AddressAnalysisCompleted,
    AddressAnalysisStarted,
    AddressTransactions,
    AddressTransactionsResponse,
    CrossBorderFlows,
    CrossBorderFlowsResponse,
)
from lbproto_compliance.graph import LIMITS, Limits
from lbproto_compliance.prices import NoPrices, Prices
from lbproto_compliance.store import Store

__all__ = ["compliance"]


def compliance(
    store: Store,
    *,
    prices: Prices = NoPrices(),  # noqa: B008 - it has no state
    key: bytes | None = None,
    taint: Method = "haircut",
    weights: Weights = DEFAULT_WEIGHTS,
    limits: Limits = LIMITS,
    max_hops: int = MAX_HOPS,
    workers: int = 2,
    timeout: float | None = 120.0,
    price: int | Callable[[AddressAnalysis], int | Awaitable[int]] | None = None,
    weight: int = 5,
    description: str = "Addresses of public chains",
) -> Plugin:
    """Analyses of addresses, their transactions, and flows between countries.

    Args:
        store: the chains' data. What is imported while the server runs is in the next answer; an
            answer, and a walk from page to page, is of one snapshot to its end.
        prices: for amounts in US dollars; by default there are none.
        key: signs cursors: the same on all nodes, at least 16 bytes. None: the one that is kept in
            the store's directory, where it is made if it is not there.
        taint: how money is followed where it was mixed.
        weights: what each kind of signal adds to a score.
        limits: how much of the graph an analysis walks.
        max_hops: how many an analysis may ask for; beyond the contract's 5 it cannot.
        workers: analyses and flows that are worked on at a time, each in a thread; more wait.
        timeout: seconds that an analysis may take, waiting included; None for any time.
        price: of an analysis, in credits, as for `Plugin.job`.
        weight: of an analysis, and of flows, against the server's limits.
        description: one line about the data, for people.

    Raises:
        ValueError: there is no such method of taint, or a number is out of its range; the key is
            looked at when the server starts.
    """
    if taint not in get_args(Method):
        raise ValueError(f"taint is one of {', '.join(get_args(Method))}, not {taint!r}")
    if not 1 <= max_hops <= MAX_HOPS:
        raise ValueError(f"max_hops is 1 to {MAX_HOPS}, not {max_hops}")
    if workers < 1:
        raise ValueError(f"there is at least 1 worker, not {workers}")
    desk = Desk(store, prices, Manner(taint, weights, limits), workers)

    @asynccontextmanager
    async def running(_server: Server) -> AsyncIterator[None]:
        await desk.open(key)
        yield

    plugin = Plugin("compliance", description=description, lifespan=running)

    @plugin.job(
        AddressAnalysis,
        stages=JOBS[AddressAnalysis],
        price=price,
        weight=weight,
        timeout=timeout,
    )
    async def analyse(job: Job[AddressAnalysis]) -> AddressAnalysisCompleted:
        if job.request.hops > max_hops:
            raise LimitExceeded(f"at most {max_hops} hops are followed here - at `$.hops`")
        snapshot = await desk.holding(job.request)
        # Whatever is refused was refused by now, before it has started.
        job.start(AddressAnalysisStarted(job_id=job.id, snapshot_id=snapshot.id))
        await job.send(await desk.analyse(job, snapshot))
        return AddressAnalysisCompleted(job_id=job.id, duration_ms=job.duration_ms)

    @plugin.on(AddressTransactions)
    async def transactions(
        _ctx: Context, request: AddressTransactions
    ) -> AddressTransactionsResponse:
        return await desk.transactions(request)

    @plugin.on(CrossBorderFlows, weight=weight)
    async def flows(ctx: Context, request: CrossBorderFlows) -> CrossBorderFlowsResponse:
        return await desk.flows(request, now_ms=int(ctx.clock.now() * 1000))

    return plugin
