"""A chain that grows while it is looked at: imported from a node, paged through, analysed."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from lbproto import Event
from lbproto.messages import Error
from lbproto.testing import Client, Serve, connect
from lbproto_compliance.events import (
    AddressAnalysisError,
    AddressAnalysisResponse,
    AddressTransactionsResponse,
    Transaction,
)
from lbproto_compliance.importing import Outcome, import_sources
from lbproto_compliance.plugin import compliance
from lbproto_compliance.sources.batches import Source
from lbproto_compliance.sources.json_rpc import JsonRpc
from lbproto_compliance.sources.tagpack import TagPack
from lbproto_compliance.store import Store
from tests.compliance import anvil
from tests.compliance.anvil import Anvil
from tests.compliance.payments import populate

pytestmark = pytest.mark.anyio

TRANSACTIONS = 300
BLOCKS = 10
PAGE = 10
RECEIVER = f"0x{0x101:040x}"


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """300 transactions of all kinds; each test adds to them."""
    with anvil.running() as node:
        populate(node, TRANSACTIONS, BLOCKS)
        yield node


def told_by(node: Anvil, address: str) -> list[tuple[str, str]]:
    """Transactions that moved something from or to an address, and what, newest first.

    By what the node says of each transaction, and in no way that the import does it.
    """
    told = []
    for height in range(tip_of(node), -1, -1):
        transactions = node.call("eth_getBlockByNumber", hex(height), True)["transactions"]
        receipts = node.call("eth_getBlockReceipts", hex(height))
        for transaction, receipt in zip(transactions[::-1], receipts[::-1], strict=True):
            if receipt["status"] != "0x1":
                continue
            moved = set()
            to = transaction["to"] or receipt["contractAddress"]
            if int(transaction["value"], 16) and address in (transaction["from"], to):
                moved.add("ETH")
            for log in receipt["logs"]:
                if any(topic.endswith(address[2:]) for topic in log["topics"][1:]):
                    moved.add(log["address"])
            told += [(transaction["hash"], asset) for asset in sorted(moved, reverse=True)]
    return told


def tip_of(node: Anvil) -> int:
    return int(node.call("eth_blockNumber"), 16)


async def ask(client: Client, event: str, ends: tuple[type[Event], ...], data: Any) -> Event:
    """The event that a request ends with."""
    client.emit({"event": event, "data": data})
    with anyio.fail_after(60):
        while True:
            for told in await client.take():
                if isinstance(told, ends):
                    return told
            await anyio.sleep(0.002)  # threads take real time


async def page(client: Client, address: str, cursor: str | None) -> AddressTransactionsResponse:
    data = {"chain": "ethereum", "address": address, "limit": PAGE, "cursor": cursor}
    answer = await ask(client, "address_transactions", (AddressTransactionsResponse, Error), data)
    assert isinstance(answer, AddressTransactionsResponse), answer
    return answer


async def walk(
    client: Client, address: str, grow: Callable[[], Awaitable[None]] | None = None
) -> list[Transaction]:
    """All pages; `grow` is awaited between them."""
    told: list[Transaction] = []
    answer = await page(client, address, None)
    while True:
        assert len(answer.transactions) <= PAGE
        told += answer.transactions
        if answer.next_cursor is None:
            return told
        if grow is not None:
            await grow()
        answer = await page(client, address, answer.next_cursor)


def names(transactions: list[Transaction]) -> list[tuple[str, str]]:
    return [(each.tx_hash, each.asset) for each in transactions]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # its parts are tested on all
async def test_a_chain_that_grows_is_paged_through_and_analysed(
    node: Anvil, serve: Serve, tmp_path: Path
) -> None:
    chain = Store(tmp_path / "chains").chain("ethereum")

    async def imported(*more: Source) -> Outcome:
        sources = [JsonRpc("ethereum", node.url, confirmations=0), *more]
        return await import_sources(chain, sources, lambda progress: None)

    assert (await imported()).snapshot.heights == (1, tip_of(node))
    payer, seed = node.accounts[0], 1
    before = told_by(node, payer)
    assert len(before) > 20

    async def grow() -> None:
        nonlocal seed
        seed += 1
        populate(node, 10, 2, seed)
        await imported()

    async with (
        serve(compliance(Store(tmp_path / "chains"))) as server,
        connect(server, "ada") as client,
    ):
        assert names(await walk(client, payer, grow)) == before
        after = told_by(node, payer)
        assert len(after) > len(before)
        assert names(await walk(client, payer)) == after

        # One that never pays has what it got, from contracts too.
        received = await walk(client, RECEIVER)
        ether = sum(int(each.value or 0) for each in received if each.asset == "ETH")
        assert ether == node.balance(RECEIVER) > 0
        assert len(set(names(received))) == len(received)

        await imported(mixer(tmp_path, anvil.FORWARDER))
        data = {"chain": "ethereum", "address": payer, "hops": 2}
        ends = (AddressAnalysisResponse, AddressAnalysisError)
        analysis = await ask(client, "address_analysis", ends, data)
    assert isinstance(analysis, AddressAnalysisResponse), analysis
    assert analysis.risk_score == sum(signal.contribution for signal in analysis.signals) > 0
    evidence = {each.tx_hash for signal in analysis.signals for each in signal.evidence}
    assert all(node.call("eth_getTransactionByHash", each) for each in evidence if each)
    assert any(evidence)


def mixer(directory: Path, address: str) -> TagPack:
    """A pack that says so of an address."""
    pack = {
        "title": "Mixers",
        "creator": "Tests",
        "source": "https://example.com",
        "currency": "ETH",
        "confidence": "ownership",
        "tags": [{"address": address, "label": "A mixer", "category": "mixing_service"}],
    }
    path = directory / "mixers.yaml"
    path.write_text(json.dumps(pack))  # which is YAML, too
    return TagPack("ethereum", path)
