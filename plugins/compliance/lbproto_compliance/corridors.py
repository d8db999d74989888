"""Corridors: what entities of one country paid those of another, as far as they are known.

An address is of a country where an attribution says so; of several, that in which there is most
confidence. Where equal ones disagree, and wherever nothing is said, it is of none: what is paid to
and by such addresses is told as unattributed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lbproto import InvalidRequest, LimitExceeded, NotFound, iso_timestamp
from lbproto_compliance.chains import CHAINS
from lbproto_compliance.countries import COUNTRIES
from lbproto_compliance.events import CorridorFlow, CorridorTotals
from lbproto_compliance.graph import Edges
from lbproto_compliance.prices import Prices, worth
from lbproto_compliance.sources import Attribution
from lbproto_compliance.store import Snapshot

__all__ = ["MAX_FLOWS", "Corridor", "country_of", "flows_of", "parse_corridor"]

MAX_FLOWS = 5_000
"""The most flows that one answer lists."""

_DAY = 86_400
_Nodes = NDArray[np.int32]


class Corridor(NamedTuple):
    """From one country to another: two letters each."""

    origin: str
    destination: str


def parse_corridor(text: str) -> Corridor:
    """The corridor that `US-NG` names.

    Raises:
        NotFound: there is no such country.
        InvalidRequest: it leads back to where it begins.
    """
    corridor = Corridor(*text.split("-"))
    for country in corridor:
        if country not in COUNTRIES:
            raise NotFound(f"there is no country {country} in ISO 3166 - at `$.corridor`")
    if corridor.origin == corridor.destination:
        raise InvalidRequest("a corridor leads from one country to another - at `$.corridor`")
    return corridor


def country_of(attributions: Sequence[Attribution]) -> str | None:
    """The country of an address of which these are all attributions; None where it is not known."""
    said = [each for each in attributions if each.country is not None]
    most = max((each.confidence for each in said), default=0.0)
    countries = {each.country for each in said if each.confidence == most}
    return countries.pop() if len(countries) == 1 else None


class _Group(NamedTuple):
    """Payments in one asset on one day."""

    asset: str
    day: int
    amount: float
    usd: float | None
    payments: int
    transactions: int


class _Sum:
    """US dollars of payments, as far as they have a price.

    Attributes:
        unpriced: how many have none.
    """

    def __init__(self) -> None:
        self._usd = 0.0
        self._priced = self.unpriced = 0

    def add(self, groups: Iterable[_Group]) -> None:
        """Count these too."""
        for group in groups:
            if group.usd is None:
                self.unpriced += group.payments
            else:
                self._usd += group.usd
                self._priced += group.payments

    @property
    def usd(self) -> float | None:
        """Their sum; None where there are some and none has a price."""
        return None if self.unpriced and not self._priced else round(self._usd, 2)


def flows_of(
    snapshots: Iterable[Snapshot],
    corridor: Corridor,
    begin_ms: int,
    end_ms: int,
    prices: Prices,
    check: Callable[[], None],
) -> tuple[list[CorridorFlow], CorridorTotals]:
    """The flows along a corridor and against it, oldest first, and what they add up to. Blocks.

    Args:
        snapshots: one of each chain.
        corridor: between which countries.
        begin_ms: payments at this moment or later are meant, Unix milliseconds,
        end_ms: and before this one.
        prices: for US dollars.
        check: called now and then; raises to give up.

    Raises:
        LimitExceeded: there are more than `MAX_FLOWS` flows.
    """
    back = Corridor(corridor.destination, corridor.origin)
    outbound, inbound, unattributed = _Sum(), _Sum(), _Sum()
    flows: list[CorridorFlow] = []
    for snapshot in snapshots:
        walk = _Walk(snapshot, begin_ms, end_ms, prices, check)
        for pair, total in ((corridor, outbound), (back, inbound)):
            groups, unknown = walk.along(pair)
            total.add(groups)
            unattributed.add(unknown)
            if len(flows) + len(groups) > MAX_FLOWS:
                raise LimitExceeded(
                    f"the window has more than {MAX_FLOWS:,} flows: narrow it - at `$.window`"
                )
            flows += [_flow(group, pair, walk.chain.name) for group in groups]
    flows.sort(key=lambda flow: (flow.bucket_start, flow.chain, flow.asset, flow.from_))
    out, in_ = outbound.usd, inbound.usd
    totals = CorridorTotals(
        outbound=out,
        inbound=in_,
        net=None if out is None or in_ is None else round(out - in_, 2),
        unattributed=unattributed.usd,
        unpriced=outbound.unpriced + inbound.unpriced + unattributed.unpriced,
    )
    return flows, totals


class _Walk:
    """The payments of a window that touch addresses which have a country."""

    def __init__(
        self,
        snapshot: Snapshot,
        begin_ms: int,
        end_ms: int,
        prices: Prices,
        check: Callable[[], None],
    ) -> None:
        self.chain = CHAINS[snapshot.manifest.chain]
        self._graph = snapshot.graph()
        self._begin = -(-begin_ms // 1000)  # blocks have whole seconds
        self._end = -(-end_ms // 1000)
        self._prices = prices
        self._check = check
        held: dict[str, list[int]] = {}
        for address, attributions in snapshot.attributions().items():
            country = country_of(attributions)
            node = None if country is None else self._graph.node(address)
            check()
            if country is not None and node is not None:
                held.setdefault(country, []).append(node)
        self._of = {country: np.sort(np.array(nodes, np.int32)) for country, nodes in held.items()}
        self._attributed = np.sort(np.concatenate([*self._of.values(), _NONE]))

    def along(self, corridor: Corridor) -> tuple[list[_Group], list[_Group]]:
        """What the addresses of the first country paid.

        Returns:
            To those of the second; and to addresses that have none, with what those paid them.
        """
        targets = self._of.get(corridor.destination, _NONE)
        paid = self._edges(corridor.origin, self._graph.outgoing)
        got = self._edges(corridor.origin, self._graph.incoming)
        return (
            self._groups([edges.chosen(_among(edges.targets, targets)) for edges in paid]),
            self._groups(
                [edges.chosen(~_among(edges.targets, self._attributed)) for edges in paid]
                + [edges.chosen(~_among(edges.sources, self._attributed)) for edges in got]
            ),
        )

    def _edges(self, country: str, of: Callable[[int], Edges]) -> list[Edges]:
        """Of each address of a country, those in the window."""
        found = []
        for node in self._of.get(country, _NONE):
            self._check()
            edges = of(int(node))
            times = self._graph.tx_times[edges.txs]
            found.append(edges.chosen((times >= self._begin) & (times < self._end)))
        return found

    def _groups(self, parts: list[Edges]) -> list[_Group]:
        """Payments by asset and day, the earliest day first."""
        if not any(len(part.txs) for part in parts):
            return []
        txs = np.concatenate([part.txs for part in parts])
        amounts = np.concatenate([part.amounts for part in parts])
        assets = np.concatenate([part.assets for part in parts])
        days = self._graph.tx_times[txs] // _DAY
        keys, group_of = np.unique(np.stack([days, assets]), axis=1, return_inverse=True)
        group_of = group_of.reshape(-1)
        sums = np.bincount(group_of, amounts)
        payments = np.bincount(group_of)
        transactions = np.bincount(np.unique(np.stack([group_of, txs]), axis=1)[0])
        groups = []
        for (day, asset), amount, count, distinct in zip(
            keys.T.tolist(), sums.tolist(), payments.tolist(), transactions.tolist(), strict=True
        ):
            name = self._graph.asset_names[asset]
            at = datetime.fromtimestamp(day * _DAY, UTC)
            usd = worth(self._prices, self.chain, name, Decimal(amount), at)
            groups.append(_Group(name, day, amount, usd, count, distinct))
        return groups


def _flow(group: _Group, pair: Corridor, chain: str) -> CorridorFlow:
    return CorridorFlow(
        from_=pair.origin,
        to=pair.destination,
        asset=group.asset,
        bucket_start=iso_timestamp(group.day * _DAY * 1000),
        amount=str(round(group.amount)),
        amount_usd=None if group.usd is None else round(group.usd, 2),
        tx_count=group.transactions,
        chain=chain,
    )


_NONE: _Nodes = np.empty(0, np.int32)


def _among(nodes: _Nodes, wanted: _Nodes) -> NDArray[np.bool_]:
    """Which of the nodes are among those wanted, which are sorted."""
    if not len(wanted):
        return np.zeros(len(nodes), np.bool_)
    places = np.minimum(np.searchsorted(wanted, nodes), len(wanted) - 1)
    found: NDArray[np.bool_] = wanted[places] == nodes
    return found
