"""Analyses of real addresses, as stock clients ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.node import NodeClient
from tests.serving import ServerProcess

pytestmark = pytest.mark.usefixtures("node")

WITHDRAW_DAO = {"chain": "ethereum", "address": "0xBf4eD7b27F1d666546E30D74d50d173d20bca754"}
DARK_DAO = {"chain": "ethereum", "address": "0x304a554a310c7e546dfe434669c62820b7d83490"}
BUSY = {"chain": "bitcoin", "address": "14xHSxdMm4D9q1PLeM723QA5bKmdsrbWwU"}  # paid 58 times
POOL = {"chain": "bitcoin", "address": "152f1muMCNa7goXYhYAQC61hxEgGacmncB"}


@pytest.fixture(params=["uvicorn-uvloop", "hypercorn-trio"])
def server(request: pytest.FixtureRequest, serve: Serve) -> ServerProcess:
    return serve("tests.e2e.compliance:app", request.param)


@pytest.fixture
def client(server: ServerProcess) -> Iterator[NodeClient]:
    auth = {"token": "token-ada"}
    with NodeClient.connecting(server.http, auth=auth, transports=["websocket"]) as client:
        client.event("connected")
        yield client


def refused(client: NodeClient, event: str, data: Any) -> tuple[str, str]:
    """The code and the message that a request is refused with."""
    answer = client.call(event, data)
    assert answer["ok"] is False
    return answer["error"]["code"], answer["error"]["message"]


def test_an_analysis_is_told_by_the_published_events(client: NodeClient) -> None:
    answer = client.call("address_analysis", {**WITHDRAW_DAO, "hops": 1})
    assert answer["event"] == "address_analysis_started"
    job_id = answer["data"]["jobId"]
    response = client.event("address_analysis_response")
    assert client.event("address_analysis_completed").keys() == {"jobId", "durationMs"}
    assert response["jobId"] == job_id
    assert response["riskScore"] == sum(each["contribution"] for each in response["signals"])
    assert response["riskLevel"] in ("unknown", "low")  # it is who paid the victims back
    own = response["clusters"][0]
    assert (own["label"], own["category"]) == ("The DAO: WithdrawDAO", "defi")
    stages = [
        line["args"][0]["stage"]
        for line in client.seen
        if line.get("event") == "address_analysis_progress"
    ]
    assert stages[0] == "resolve"
    assert set(stages) <= {"resolve", "expand", "cluster", "score"}

    client.call("address_analysis", {**DARK_DAO, "hops": 1})
    response = client.event("address_analysis_response")
    assert response["riskLevel"] in ("high", "critical")
    theft = response["signals"][0]
    assert (theft["code"], theft["direction"]) == ("stolen_funds", "self")
    assert theft["evidence"][0]["address"] == DARK_DAO["address"]
    assert "Ethereum Foundation" in theft["evidence"][0]["source"]


def test_pages_of_transactions_hold_all_of_them_once(client: NodeClient) -> None:
    hashes: list[str] = []
    cursor = None
    while True:
        answer = client.call("address_transactions", {**BUSY, "limit": 20, "cursor": cursor})
        page = answer["data"]
        hashes += [each["txHash"] for each in page["transactions"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert (len(hashes), len(set(hashes))) == (58, 58)
    (coinbase,) = client.call("address_transactions", POOL)["data"]["transactions"]
    assert coinbase == {
        "txHash": "da917699942e4a96272401b534381a75512eeebe8403084500bd637bd47168b3",
        "height": 481824,
        "timestamp": "2017-08-24T01:57:37.000Z",
        "direction": "in",
        "value": "1462514269",
        "asset": "BTC",
        "valueUSD": 73125.71,
        "counterparties": [],
    }
    forged = {**POOL, "cursor": "AAAA" * 20}
    assert refused(client, "address_transactions", forged)[0] == "INVALID_REQUEST"


def test_what_a_corridor_does_not_know_is_told(client: NodeClient) -> None:
    window = {"from": "2017-08-24", "to": "2017-08-25"}
    data = client.call("cross_border_flows", {"corridor": "US-NG", "window": window})["data"]
    assert (data["corridor"], data["flows"]) == ("US-NG", [])
    totals = data["totalsUSD"]
    assert totals.keys() == {"outbound", "inbound", "net", "unattributed", "unpriced"}
    assert (totals["outbound"], totals["net"]) == (0, 0)
    assert totals["unattributed"] == 5  # what Xapo got, from nobody knows where
    code, _ = refused(client, "cross_border_flows", {"corridor": "US-ZZ", "window": "PT24H"})
    assert code == "NOT_FOUND"


def test_what_is_malformed_says_why(client: NodeClient) -> None:
    address = WITHDRAW_DAO["address"]
    for changes, message in (
        ({"address": address.swapcase()}, "(encoding)"),
        ({"address": address.replace("B", "b", 1)}, "(checksum)"),
        ({"address": address[:-1]}, "(length)"),
        ({"chain": "bitcoin", "address": "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn"}, "(network)"),
        ({"hops": 6}, "`$.hops`"),
    ):
        code, told = refused(client, "address_analysis", {**WITHDRAW_DAO, **changes})
        assert code == "INVALID_REQUEST"
        assert message in told
        seen = [line for line in client.seen if line.get("event") == "validation_error"]
        error = seen[-1]["args"][0]
        assert (error["event"], error["message"]) == ("address_analysis", told)


def test_an_analysis_is_cancelled_while_its_thread_works_and_costs_nothing(serve: Serve) -> None:
    server = serve("tests.e2e.compliance:slow")
    auth = {"token": "token-ada"}
    with NodeClient.connecting(server.http, auth=auth, transports=["websocket"]) as client:
        client.event("connected")
        job_id = client.call("address_analysis", WITHDRAW_DAO)["data"]["jobId"]
        client.emit("cancel", {"id": job_id})
        error = client.event("address_analysis_error")
        assert (error["jobId"], error["code"]) == (job_id, "CANCELLED")
        client.call("address_analysis", {**POOL, "hops": 1})
        client.event("address_analysis_completed")
        assert client.event("credits_deducted")["newBalance"] == 95
