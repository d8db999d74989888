"""What goes over the wire. The names of events and fields are those of the published contract."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Literal

from msgspec import Meta

from lbproto import Duration, ErrorEvent, Event, Model, NotFound, Span, Stages
from lbproto_compliance.addresses import MalformedAddress, parse
from lbproto_compliance.analysis.report import (
    MAX_HOPS,
    ClusterReport,
    Level,
    Method,
    Signal,
    Stage,
)

__all__ = [
    "JOBS",
    "AddressAnalysis",
    "AddressAnalysisCompleted",
    "AddressAnalysisError",
    "AddressAnalysisProgress",
    "AddressAnalysisResponse",
    "AddressAnalysisStarted",
    "AddressTransactions",
    "AddressTransactionsResponse",
    "CorridorFlow",
    "CorridorTotals",
    "CrossBorderFlows",
    "CrossBorderFlowsResponse",
    "Transaction",
]

MAX_TRANSACTIONS = 500
"""The most transactions that one answer lists."""

# Short enough to be echoed in a refusal.
_Chain = Annotated[str, Meta(min_length=1, max_length=40)]
_Address = Annotated[str, Meta(min_length=1, max_length=128)]
_Corridor = Annotated[str, Meta(pattern="^[A-Z]{2}-[A-Z]{2}$", max_length=5)]


class _OfAddress(Event):
    """A request about one address: a malformed one is refused as the payload is decoded."""

    chain: _Chain
    address: _Address

    def __post_init__(self) -> None:
        try:
            with suppress(NotFound):  # whoever serves it says which chains there are
                parse(self.chain, self.address)
        except MalformedAddress as malformed:
            raise ValueError(f"{malformed.message} - at `$.address`") from None


class AddressAnalysis(_OfAddress):
    """Ask how risky an address is, and why.

    `hops` is how many payments in a row are followed, from the address and to it.
    """

    hops: Annotated[int, Meta(ge=1, le=MAX_HOPS)] = 2


class AddressAnalysisStarted(Event):
    """The analysis has begun; `cancel` takes its id.

    `snapshotId` (extension) names the data: the same analysis of the same data says the same.
    """

    job_id: str
    snapshot_id: str


class AddressAnalysisProgress(Event):
    """How far the analysis is, of the whole."""

    job_id: str
    stage: Stage
    pct: float


class AddressAnalysisResponse(Event):
    """What was found: the signals' contributions add up to the score.

    `truncated` (extension) says that a hub or a limit left something out; `taint` (extension) how
    money was followed where it was mixed.
    """

    job_id: str
    risk_score: int
    risk_level: Level
    clusters: list[ClusterReport]
    signals: list[Signal]
    truncated: bool
    taint: Method


class AddressAnalysisCompleted(Event):
    """The analysis is done."""

    job_id: str
    duration_ms: int


class AddressAnalysisError(ErrorEvent):
    """The analysis was refused, or has failed, or was cancelled."""

    job_id: str


class AddressTransactions(_OfAddress):
    """Ask for an address's transactions, newest first; the cursor of one answer asks for the next.

    The pages of one walk are of the same data, however many blocks are imported meanwhile.
    """

    limit: Annotated[int, Meta(ge=1, le=MAX_TRANSACTIONS)] = 50
    cursor: Annotated[str, Meta(max_length=512)] | None = None


class Transaction(Model):
    """What one transaction did to the address, in one asset.

    `value` is in base units, a decimal string; null where the chain's data do not tell it.
    `valueUSD` is by the day's price, and left out where none is known. `counterparties` are at most
    20.
    """

    tx_hash: str
    height: int
    timestamp: str
    direction: Literal["in", "out", "self"]
    value: str | None
    asset: str
    counterparties: list[str]
    value_usd: float | None = None


class AddressTransactionsResponse(Event):
    """Some of an address's transactions; `nextCursor` is null at the end."""

    chain: str
    address: str
    transactions: list[Transaction]
    next_cursor: str | None


class CrossBorderFlows(Event):
    """Ask what was paid between two countries, such as `US-NG`: an ISO 8601 window looks back."""

    corridor: _Corridor
    window: Duration | Span


class CorridorFlow(Model):
    """What entities of one country paid those of the other, in one asset on one day (UTC).

    `amount` is in base units, a decimal string of 15 digits that count. `amountUSD` is by the day's
    price, null where none is known.
    """

    from_: str
    to: str
    asset: str
    bucket_start: str
    amount: str
    amount_usd: float | None
    tx_count: int
    chain: str


class CorridorTotals(Model):
    """Sums in US dollars over what has a price; null where there are payments and none has one.

    `outbound` went along the corridor, `inbound` against it, `net` is their difference.
    `unattributed` is what entities of either country paid to, or got from, addresses of which
    nobody says a country: any of it may belong to the corridor. `unpriced` (extension) counts the
    payments that are in none of the sums, for want of a price.
    """

    outbound: float | None
    inbound: float | None
    net: float | None
    unattributed: float | None
    unpriced: int


class CrossBorderFlowsResponse(Event):
    """The flows of a corridor in both directions, oldest first, and their sums."""

    corridor: str
    flows: list[CorridorFlow]
    totals_usd: CorridorTotals


JOBS: Mapping[type[Event], Stages] = {
    AddressAnalysis: Stages(
        start=AddressAnalysisStarted,
        progress=AddressAnalysisProgress,
        output=AddressAnalysisResponse,
        success=AddressAnalysisCompleted,
        failure=AddressAnalysisError,
    )
}
"""The jobs of this plugin, by request: what a `Client` follows them by."""
