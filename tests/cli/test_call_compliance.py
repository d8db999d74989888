"""What the demo's data say of addresses, as the command line shows it."""

from __future__ import annotations

import json

from tests.cli.commands import Running, run

DARK_DAO = '{"chain": "ethereum", "address": "0x304a554a310c7e546dfe434669c62820b7d83490"}'
POOL = '{"chain": "bitcoin", "address": "152f1muMCNa7goXYhYAQC61hxEgGacmncB"}'


def test_an_analysis_is_followed_to_its_end(demo: Running) -> None:
    done = run("call", "address_analysis", DARK_DAO, "--url", demo.url, "--json")
    started, *_, last, completed = done.lines
    assert started["event"] == "address_analysis_started"
    assert completed["event"] == "address_analysis_completed"
    response = last["data"]
    assert (response["riskLevel"], response["signals"][0]["code"]) == ("high", "stolen_funds")
    assert (done.code, done.err) == (0, "")


def test_transactions_have_the_days_price(demo: Running) -> None:
    done = run("call", "address_transactions", POOL, "--url", demo.url, "--json")
    (transaction,) = done.lines[0]["data"]["transactions"]
    assert (transaction["value"], transaction["valueUSD"]) == ("1462514269", 63477.8)


def test_an_address_that_is_none(demo: Running) -> None:
    request = json.dumps({**json.loads(POOL), "address": "152f1muMCNa7goXYhYAQC61hxEgGacmncC"})
    done = run("call", "address_analysis", request, "--url", demo.url)
    assert done.code == 1
    assert "Malformed address (checksum)" in done.out
