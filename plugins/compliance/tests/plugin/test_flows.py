"""Flows between countries, as far as anybody says where addresses are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import anyio
import msgspec
import pytest

from lbproto import Clock
from lbproto.messages import Error, ValidationError
from lbproto_compliance import DEFAULT_WEIGHTS, LIMITS, corridors, desk
from lbproto_compliance.corridors import country_of
from lbproto_compliance.countries import COUNTRIES
from lbproto_compliance.events import (
    CorridorFlow,
    CorridorTotals,
    CrossBorderFlows,
    CrossBorderFlowsResponse,
)
from lbproto_compliance.prices import StaticPrices

if TYPE_CHECKING:
    from tests.plugin.conftest import Ledger

pytestmark = pytest.mark.anyio

ENDS = (CrossBorderFlowsResponse, Error, ValidationError)
ETHER = 10**18
MARCH = {"from": "2024-03-01", "to": "2024-04-01"}
PRICES = StaticPrices({"ETH": {date(2024, 3, day): Decimal(3000 + day) for day in (1, 2)}})


@pytest.fixture(scope="module")
def traded(new_ledger: Callable[[], Ledger]) -> Ledger:
    """1 and 2 are in the US, 3 in Nigeria, 4 in Germany; nobody says where 5 is."""
    ledger = new_ledger()
    ledger.add(
        [
            ledger.pays(1, 1, 3, 2 * ETHER),
            ledger.pays(2, 2, 3, 1 * ETHER),
            ledger.pays(3, 3, 1, 1 * ETHER),
            ledger.pays(26, 1, 3, 4 * ETHER),
            ledger.pays(27, 1, 2, 9 * ETHER),  # within a country
            ledger.pays(28, 1, 4, 9 * ETHER),  # to a third
            ledger.pays(4, 1, 5, 3 * ETHER),
            ledger.pays(5, 5, 3, 5 * ETHER),
            ledger.pays(72, 1, 3, 6 * ETHER),  # on a day without a price
        ],
        [
            ledger.said(1, "exchange", "US"),
            ledger.said(2, "exchange", "US"),
            ledger.said(3, "exchange", "NG"),
            ledger.said(4, "exchange", "DE"),
            ledger.said(5, "exchange"),
        ],
    )
    return ledger


async def flows(ledger: Ledger, client: Any, corridor: Any = "US-NG", window: Any = MARCH) -> Any:
    """One answer."""
    data = {"corridor": corridor, "window": window}
    (answer,) = await ledger.answer(client, "cross_border_flows", *ENDS, **data)
    return answer


def flow(day: int, from_: str, to: str, ether: int, count: int = 1) -> CorridorFlow:
    return CorridorFlow(
        from_=from_,
        to=to,
        asset="ETH",
        bucket_start=f"2024-03-0{day}T00:00:00.000Z",
        amount=str(ether * ETHER),
        amount_usd=(3000.0 + day) * ether if day < 3 else None,
        tx_count=count,
        chain="ethereum",
    )


async def test_both_directions_are_told_by_day(traded: Ledger) -> None:
    async with traded.served(prices=PRICES) as (_, client):
        answer = await flows(traded, client)
    assert answer.corridor == "US-NG"
    assert answer.flows == [
        flow(1, "NG", "US", 1),
        flow(1, "US", "NG", 3, 2),
        flow(2, "US", "NG", 4),
        flow(4, "US", "NG", 6),
    ]
    assert answer.totals_usd == CorridorTotals(
        outbound=3 * 3001 + 4 * 3002,
        inbound=3001,
        net=2 * 3001 + 4 * 3002,
        unattributed=8 * 3001,
        unpriced=1,
    )


async def test_the_other_way_round_it_is_the_other_way_round(traded: Ledger) -> None:
    async with traded.served(prices=PRICES) as (_, client):
        there, back = await flows(traded, client), await flows(traded, client, "NG-US")
    assert back.flows == there.flows
    assert back.totals_usd.net == -there.totals_usd.net


async def test_what_has_no_price_is_not_nothing(traded: Ledger) -> None:
    async with traded.served() as (_, client):
        answer = await flows(traded, client)
    assert {each.amount_usd for each in answer.flows} == {None}
    assert answer.totals_usd == CorridorTotals(
        outbound=None, inbound=None, net=None, unattributed=None, unpriced=7
    )


async def test_a_window_begins_with_a_moment_and_ends_before_one(traded: Ledger) -> None:
    async with traded.served(prices=PRICES) as (_, client):
        window = {"from": "2024-03-01T02:00:00Z", "to": "2024-03-01T03:00:00.001Z"}
        answer = await flows(traded, client, window=window)
        assert [each.amount for each in answer.flows] == [str(ETHER), str(ETHER)]
        window = {"from": "2024-03-01T02:00:00.001Z", "to": "2024-03-01T03:00:00Z"}
        answer = await flows(traded, client, window=window)
        assert answer.flows == []
        assert answer.totals_usd == CorridorTotals(
            outbound=0.0, inbound=0.0, net=0.0, unattributed=0.0, unpriced=0
        )


async def test_a_duration_looks_back_from_now(traded: Ledger, clock: Clock) -> None:
    async with traded.served(clock=clock) as (_, client):
        assert (await flows(traded, client, window="PT1H")).flows == []
        assert len((await flows(traded, client, window="P20Y")).flows) == 4


async def test_a_corridor_between_countries_that_nobody_is_in_is_empty(traded: Ledger) -> None:
    async with traded.served() as (_, client):
        answer = await flows(traded, client, "FR-JP")
    assert (answer.flows, answer.totals_usd.outbound) == ([], 0.0)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # it is refused before any loop matters
@pytest.mark.parametrize(
    ("corridor", "window", "code", "message"),
    [
        ("US-XX", MARCH, "NOT_FOUND", "there is no country XX"),
        ("EU-US", MARCH, "NOT_FOUND", "there is no country EU"),
        ("US-US", MARCH, "INVALID_REQUEST", "from one country to another"),
        ("us-ng", MARCH, "INVALID_REQUEST", "at `$.corridor`"),
        ("USNG", MARCH, "INVALID_REQUEST", "at `$.corridor`"),
        ("US-NG\n", MARCH, "INVALID_REQUEST", "at `$.corridor`"),
        (7, MARCH, "INVALID_REQUEST", "at `$.corridor`"),
        ("US-NG", "24h", "INVALID_REQUEST", "at `$.window`"),
        ("US-NG", {"from": 2, "to": 1}, "INVALID_REQUEST", "at `$.window`"),
        ("US-NG", None, "INVALID_REQUEST", "at `$.window`"),
    ],
)
async def test_what_is_refused(
    traded: Ledger, corridor: Any, window: Any, code: str, message: str
) -> None:
    async with traded.served() as (_, client):
        error = await flows(traded, client, corridor, window)
    assert error.code == code
    assert message in error.message


async def test_more_flows_than_an_answer_may_have(
    traded: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corridors, "MAX_FLOWS", 3)
    async with traded.served() as (_, client):
        error = await flows(traded, client)
    assert error.code == "LIMIT_EXCEEDED"
    assert "narrow it - at `$.window`" in error.message


async def test_what_nobody_waits_for_any_more_is_given_up(
    traded: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = Flag(), Flag()
    ended = []

    def flows_of(*args: Any) -> Any:
        reached.set()
        assert go_on.wait(30)
        ended.append(corridors.flows_of(*args))
        return ended[-1]

    monkeypatch.setattr(desk, "flows_of", flows_of)
    manner = desk.Manner("haircut", DEFAULT_WEIGHTS, LIMITS)
    working = desk.Desk(traded.store, PRICES, manner, workers=1)
    request = msgspec.convert({"corridor": "US-NG", "window": "P1D"}, CrossBorderFlows)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(working.flows, request, 0)
        assert await anyio.to_thread.run_sync(reached.wait, 30)
        tasks.cancel_scope.cancel()
        go_on.set()
    assert not ended


def test_the_country_of_an_address_is_where_most_confidence_is(traded: Ledger) -> None:
    us, ng, sure = (
        traded.said(1, "exchange", "US", 0.5),
        traded.said(1, "exchange", "NG", 0.5),
        traded.said(1, "exchange", "DE", 0.9),
    )
    unsaid = traded.said(1, "exchange", None, 1.0)
    assert country_of([us, unsaid]) == "US"
    assert country_of([us, ng, sure]) == "DE"
    assert country_of([us, ng]) is None
    assert country_of([unsaid]) is None
    assert country_of([]) is None


def test_all_countries_are_there() -> None:
    assert len(COUNTRIES) == 249
    assert {"US", "NG", "DE", "SS", "CW"} < COUNTRIES
