"""Flows of a ledger that nobody made, against plain Python over its transfers."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, date, timedelta
from decimal import Decimal
from itertools import permutations
from typing import TYPE_CHECKING

import pytest

from lbproto import iso_timestamp
from lbproto_compliance.corridors import Corridor, flows_of
from lbproto_compliance.prices import StaticPrices
from lbproto_compliance.sources import Transfer
from lbproto_compliance.store import Snapshot

if TYPE_CHECKING:
    from tests.plugin.conftest import Ledger

COUNTRIES = {1: "US", 2: "US", 3: "NG", 4: "NG", 5: "DE"}  # nobody says where 6, 7 and 8 are
DAYS = 6
FIRST = date(2024, 3, 1)
PRICES = {FIRST + timedelta(days=day): Decimal(10 + day) for day in range(DAYS - 2)}
ETHER = 10**18


@pytest.fixture(scope="module")
def transfers(new_ledger: Callable[[], Ledger]) -> tuple[Snapshot, list[Transfer]]:
    """A snapshot, and all that was imported into it."""
    ledger, chance = new_ledger(), random.Random(8)  # noqa: S311 - no secret
    made = []
    for height in range(DAYS * 24):
        for sender in chance.sample(range(1, 9), 2):
            receiver = chance.choice([number for number in range(1, 9) if number != sender])
            asset = chance.choice(("ETH", "ETH", ledger.address(99)))
            value = chance.randrange(1, 9) * ETHER
            made.append(ledger.pays(height, sender, receiver, value, asset))
    said = [ledger.said(number, "exchange", country) for number, country in COUNTRIES.items()]
    return ledger.add(made, said), made


@pytest.mark.parametrize("pair", [*permutations(("US", "NG", "DE"), 2)], ids="-".join)
@pytest.mark.parametrize("hours", [(0, DAYS * 24), (20, 30), (24, 48), (90, 91), (5, 5)])
def test_flows_are_what_was_transferred(
    transfers: tuple[Snapshot, list[Transfer]], pair: tuple[str, str], hours: tuple[int, int]
) -> None:
    snapshot, made = transfers
    begin_ms = int((made[0].timestamp.replace(tzinfo=UTC)).timestamp()) * 1000
    begin, end = (begin_ms + hour * 3_600_000 for hour in hours)
    flows, totals = flows_of(
        [snapshot], Corridor(*pair), begin, end, StaticPrices({"ETH": PRICES}), lambda: None
    )

    amounts: Counter[tuple[str, ...]] = Counter()
    counts: Counter[tuple[str, ...]] = Counter()
    usd: defaultdict[str, Decimal] = defaultdict(Decimal)
    priced: Counter[str] = Counter()
    unpriced: Counter[str] = Counter()
    for transfer in made:
        at_ms = int(transfer.timestamp.replace(tzinfo=UTC).timestamp()) * 1000
        ends = [COUNTRIES.get(int(str(end), 16)) for end in (transfer.sender, transfer.receiver)]
        if not begin <= at_ms < end:
            continue
        if tuple(ends) == pair:
            total = "outbound"
        elif tuple(ends) == pair[::-1]:
            total = "inbound"
        elif None in ends and set(ends) & set(pair):
            total = "unattributed"
        else:
            continue
        day = transfer.timestamp.date()
        if total != "unattributed":
            bucket = iso_timestamp(begin_ms + (day - FIRST).days * 86_400_000)
            key = (bucket, transfer.asset, *map(str, ends))
            amounts[key] += int(transfer.value)
            counts[key] += 1
        if transfer.asset == "ETH" and day in PRICES:
            usd[total] += PRICES[day] * int(transfer.value) / ETHER
            priced[total] += 1
        else:
            unpriced[total] += 1

    def keyed(value: str) -> dict[tuple[str, ...], int]:
        return {
            (flow.bucket_start, flow.asset, flow.from_, flow.to): int(getattr(flow, value))
            for flow in flows
        }

    assert keyed("amount") == amounts
    assert keyed("tx_count") == counts
    assert len(flows) == len(amounts)
    for total in ("outbound", "inbound", "unattributed"):
        known = None if unpriced[total] and not priced[total] else float(usd[total])
        assert getattr(totals, total) == known
    assert totals.unpriced == unpriced.total()
