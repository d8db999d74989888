"""Analyses as clients ask for them."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event as Flag
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from lbproto.ledger.memory import MemoryLedger
from lbproto.messages import CreditsInsufficient, ValidationError
from lbproto_compliance import desk
from lbproto_compliance.analysis import Analysis, engine
from lbproto_compliance.events import (
    AddressAnalysisCompleted,
    AddressAnalysisError,
    AddressAnalysisProgress,
    AddressAnalysisResponse,
    AddressAnalysisStarted,
)
from lbproto_compliance.plugin import compliance
from lbproto_compliance.store import Snapshot

if TYPE_CHECKING:
    from tests.plugin.conftest import Ledger

pytestmark = pytest.mark.anyio

ENDS = (AddressAnalysisCompleted, AddressAnalysisError, ValidationError, CreditsInsufficient)
ETHER = 10**18


@pytest.fixture(scope="module")
def tainted(new_ledger: Callable[[], Ledger]) -> Ledger:
    """1 has stolen and paid 2, half of whose ether that is; 2 pays 3."""
    ledger = new_ledger()
    ledger.add(
        [
            ledger.pays(1, 1, 2, 5 * ETHER),
            ledger.pays(2, 4, 2, 5 * ETHER),
            ledger.pays(3, 2, 3, 8 * ETHER),
        ],
        [ledger.said(1, "stolen_funds"), ledger.said(9, "sanctioned")],
    )
    return ledger


async def analysis(ledger: Ledger, client: Any, number: int, **more: Any) -> list[Any]:
    """What comes of a request for an analysis."""
    data = {"chain": "ethereum", "address": ledger.address(number)} | more
    return await ledger.answer(client, "address_analysis", *ENDS, **data)


async def test_an_analysis_is_a_job_told_in_stages(tainted: Ledger) -> None:
    async with tainted.served() as (_, client):
        started, *progress, response, completed = await analysis(tainted, client, 2)
    assert isinstance(started, AddressAnalysisStarted)
    assert started.snapshot_id == tainted.store.chain("ethereum").latest().id
    assert progress
    assert all(isinstance(event, AddressAnalysisProgress) for event in progress)
    assert progress[0].stage == "resolve"
    assert isinstance(response, AddressAnalysisResponse)
    assert response.risk_score == sum(signal.contribution for signal in response.signals) > 0
    (theft,) = [signal for signal in response.signals if signal.code == "stolen_funds"]
    assert (theft.direction, theft.hops) == ("incoming", 1)
    assert theft.pct == pytest.approx(50)
    assert tainted.address(1) in {evidence.address for evidence in theft.evidence}
    assert response.taint == "haircut"
    assert isinstance(completed, AddressAnalysisCompleted)
    assert {event.job_id for event in [*progress, response, completed]} == {started.job_id}


@pytest.mark.parametrize(
    "wire", ["socketio-json", "socketio-msgpack", "plain-json", "plain-msgpack"]
)
async def test_every_wire_reads_it(tainted: Ledger, wire: Any) -> None:
    async with tainted.served(wire) as (_, client):
        *_, response, _ = await analysis(tainted, client, 1)
    assert response.signals[0].evidence[0].address == tainted.address(1)


async def test_how_far_it_looks_is_asked_for(tainted: Ledger) -> None:
    async with tainted.served() as (_, client):
        near = await analysis(tainted, client, 3, hops=1)
        far = await analysis(tainted, client, 3, hops=2)
    assert [near[-2].risk_score, near[-2].signals] == [0, []]
    assert [(signal.code, signal.hops) for signal in far[-2].signals] == [("stolen_funds", 2)]


async def test_the_method_of_taint_is_the_hosts(tainted: Ledger) -> None:
    async with tainted.served(taint="poison") as (_, client):
        *_, response, _ = await analysis(tainted, client, 2)
    assert response.taint == "poison"


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # imports cost the most, and know no loop
async def test_the_same_data_say_the_same_and_new_ones_are_seen(ledger: Ledger) -> None:
    ledger.add([ledger.pays(1, 4, 2, ETHER)], [ledger.said(1, "stolen_funds")])
    async with ledger.served() as (_, client):
        answers = [(await analysis(ledger, client, 4))[-2] for _ in range(2)]
        ledger.add([ledger.pays(5, 1, 4, ETHER)])
        answers.append((await analysis(ledger, client, 4))[-2])
    first, second, third = ((answer.risk_score, answer.signals) for answer in answers)
    assert first == second != third


async def test_an_address_that_is_only_on_a_list_is_known(tainted: Ledger) -> None:
    async with tainted.served() as (_, client):
        *_, response, _ = await analysis(tainted, client, 9)
    assert response.risk_level == "critical"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"address": f"0x{77:040x}"}, "in none of the payments held here of ethereum"),
        ({"chain": "polygon"}, "no data of polygon"),
        ({"chain": "dogecoin", "address": "any"}, "bitcoin, ethereum"),
    ],
)
async def test_what_is_not_held_has_no_score(tainted: Ledger, data: Any, message: str) -> None:
    async with tainted.served() as (_, client):
        (error,) = await analysis(tainted, client, 2, **data)
    assert isinstance(error, AddressAnalysisError)
    assert error.code == "NOT_FOUND"
    assert message in error.message


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # it is refused before any loop matters
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"address": "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"}, "(checksum)"),
        ({"address": "0xbf4ed7"}, "(length)"),
        ({"address": ""}, "length >= 1"),
        ({"address": "1" * 200}, "length <= 128"),
        ({"address": None}, "Expected `str`, got `null` - at `$.address`"),
        ({"chain": "bitcoin", "address": "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn"}, "(network)"),
        ({"hops": 0}, "`$.hops`"),
        ({"hops": 6}, "`$.hops`"),
        ({"hops": "2"}, "`$.hops`"),
    ],
)
async def test_a_malformed_request_never_becomes_a_job(
    tainted: Ledger, data: Any, message: str
) -> None:
    async with tainted.served() as (_, client):
        (error,) = await analysis(tainted, client, 2, **data)
    assert isinstance(error, ValidationError)
    assert error.code == "INVALID_REQUEST"
    assert message in error.message
    assert error.message.count("at `$.") == 1


async def test_a_host_may_allow_fewer_hops(tainted: Ledger) -> None:
    async with tainted.served(max_hops=1) as (_, client):
        (error,) = await analysis(tainted, client, 2)
    assert isinstance(error, AddressAnalysisError)
    assert (error.code, error.message) == (
        "LIMIT_EXCEEDED",
        "at most 1 hops are followed here - at `$.hops`",
    )


async def test_it_is_paid_for_where_it_has_a_price(tainted: Ledger) -> None:
    options: Any = {"price": lambda request: 10 * request.hops, "credits": MemoryLedger()}
    async with tainted.served(**options) as (server, client):
        (refused,) = await analysis(tainted, client, 2)
        assert isinstance(refused, CreditsInsufficient)
        assert refused.required == 20
        await server.credits.grant("ada", 100, "a gift")
        await analysis(tainted, client, 2)
        await analysis(tainted, client, 2, hops=1)
        await analysis(tainted, client, 77)  # not held: not paid for
        assert (await server.credits.balance("ada")).available == 70


async def test_cancelled_between_steps_it_ends_and_its_thread_too(
    tainted: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go_on = Flag(), Flag()
    graph, analysed = Snapshot.graph, []

    def slow_graph(snapshot: Snapshot) -> Any:
        reached.set()
        assert go_on.wait(30)
        return graph(snapshot)

    def analyse(*args: Any, **options: Any) -> Analysis:
        analysed.append(engine.analyse(*args, **options))
        return analysed[-1]

    monkeypatch.setattr(Snapshot, "graph", slow_graph)
    monkeypatch.setattr(desk, "analyse", analyse)
    async with tainted.served(workers=1) as (server, client):
        data = {"chain": "ethereum", "address": tainted.address(2)}
        client.emit({"event": "address_analysis", "data": data})
        started, *_ = await tainted.until(client, AddressAnalysisStarted)
        assert await anyio.to_thread.run_sync(reached.wait, 30)
        client.emit({"event": "cancel", "data": {"id": started.job_id}})
        *_, error = await tainted.until(client, AddressAnalysisError)
        assert error.code == "CANCELLED"
        assert server.statistics().jobs == 1  # its thread is in the middle of a step
        go_on.set()
        with anyio.fail_after(60):
            while server.statistics().jobs:
                await client.take()
        assert not analysed  # it was left in the middle
        told = await analysis(tainted, client, 2)  # and the one worker is free again
        assert isinstance(told[-1], AddressAnalysisCompleted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"taint": "guess"}, "taint is one of haircut, poison, fifo, not 'guess'"),
        ({"max_hops": 6}, "max_hops is 1 to 5, not 6"),
        ({"workers": 0}, "at least 1 worker, not 0"),
    ],
)
def test_what_makes_no_plugin(tainted: Ledger, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compliance(tainted.store, **options)
