"""Transfers from a real node, compared with what it says itself of balances and logs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from itertools import pairwise

import httpx
import msgspec
import pytest

from lbproto_compliance.sources.batches import Batch, SourceError, Transfer
from lbproto_compliance.sources.json_rpc import JsonRpc
from tests.compliance import anvil
from tests.compliance.anvil import Anvil
from tests.compliance.payments import populate
from tests.compliance.web_server import Asked, Said, answering

pytestmark = pytest.mark.anyio

TRANSACTIONS = 300
BLOCKS = 10
INNER = range(1, 1_000_000)
"""Positions of what contracts moved."""


@pytest.fixture(scope="module")
def node() -> Iterator[Anvil]:
    """300 transactions of all kinds in 10 blocks; tests only read."""
    with anvil.running() as node:
        populate(node, TRANSACTIONS, BLOCKS)
        yield node


async def batches_of(source: JsonRpc, checkpoint: str | None = None) -> list[Batch]:
    async with aclosing(source.batches(checkpoint)) as batches:
        return [batch async for batch in batches]


def transfers_of(batches: Sequence[Batch]) -> list[Transfer]:
    rows: list[Transfer] = []
    for batch in batches:
        for row in batch.rows:
            assert isinstance(row, Transfer)
            rows.append(row)
    return rows


def check_against_node(node: Anvil, rows: Sequence[Transfer]) -> None:
    """Each address has what came less what went; each token's movement is a log of the node's."""
    assert len({(row.tx_hash, row.position) for row in rows}) == len(rows)
    assert [(row.height, row.tx_index, row.position) for row in rows] == sorted(
        (row.height, row.tx_index, row.position) for row in rows
    )
    change: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        if row.asset == "ETH":
            assert row.sender is not None
            assert row.receiver is not None
            change[row.sender] -= int(row.value)
            change[row.receiver] += int(row.value)
    tip = int(node.call("eth_blockNumber"), 16)
    for height in range(tip + 1):  # fees are not transfers
        for receipt in node.call("eth_getBlockReceipts", hex(height)):
            fee = int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16)
            change[receipt["from"]] -= fee
    for address, amount in change.items():
        fortune = anvil.FORTUNE if address in node.accounts else 0
        assert node.balance(address) == fortune + amount, address
    logs = node.call("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"})
    assert Counter(
        (row.tx_hash, row.asset, row.receiver, int(row.value)) for row in rows if row.asset != "ETH"
    ) == Counter(
        (log["transactionHash"], log["address"], "0x" + log["topics"][2][26:], int(log["data"], 16))
        for log in logs
    )


async def test_what_a_node_tells_is_what_moved(node: Anvil) -> None:
    batches = await batches_of(JsonRpc("ethereum", node.url, confirmations=0, blocks=4, calls=3))
    rows = transfers_of(batches)
    assert not any(batch.rejected for batch in batches)
    assert [batch.done for batch in batches] == [4 / 11, 8 / 11, 1]
    assert {row.asset for row in rows} == {"ETH", "0x" + "70" * 20}
    assert any(row.position in INNER for row in rows)
    check_against_node(node, rows)


async def test_it_goes_on_behind_a_checkpoint(node: Anvil) -> None:
    source = JsonRpc("ethereum", node.url, confirmations=0, blocks=3)
    whole = await batches_of(source)
    assert len(whole) == 4
    for left, right in pairwise(range(5)):
        rest = await batches_of(source, whole[left].checkpoint if left < right else None)
        assert rest == whole[right:]
        assert all(earlier.done < later.done for earlier, later in pairwise(rest))


async def test_blocks_that_are_asked_for(node: Anvil) -> None:
    tip = int(node.call("eth_blockNumber"), 16)
    young = await batches_of(JsonRpc("ethereum", node.url, confirmations=tip - 5))
    assert max(row.height for row in transfers_of(young)) == 5
    assert await batches_of(JsonRpc("ethereum", node.url, confirmations=tip + 1)) == []
    some = JsonRpc("ethereum", node.url, first=3, last=4, confirmations=0)
    [batch] = await batches_of(some)
    assert {row.height for row in transfers_of([batch])} == {3, 4}
    assert await batches_of(some, batch.checkpoint) == []
    for first in (2, 6):
        source = JsonRpc("ethereum", node.url, first=first, confirmations=0)
        with pytest.raises(SourceError, match="3 to 4 have been imported"):
            await batches_of(source, batch.checkpoint)
    rest = JsonRpc("ethereum", node.url, first=5, confirmations=0)
    assert transfers_of(await batches_of(rest, batch.checkpoint))[0].height == 5


class Proxy:
    """Stands before a node and refuses methods; within `with`."""

    def __init__(self, node: Anvil, *refused: str) -> None:
        self._node = node
        self._refused = refused
        self._client = httpx.Client(timeout=30)
        self.seen: Counter[str] = Counter()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def __call__(self, asked: Asked) -> Said:
        calls = msgspec.json.decode(asked.body)
        for call in calls if isinstance(calls, list) else [calls]:
            self.seen[call["method"]] += 1
            if call["method"] in self._refused:
                call["method"] = "refused"
        answer = self._client.post(self._node.url, json=calls)
        return Said(answer.content)


async def test_what_a_node_does_not_offer_is_had_otherwise(node: Anvil) -> None:
    expected = await batches_of(JsonRpc("ethereum", node.url, last=3, confirmations=0))
    with Proxy(node, "trace_block", "eth_getBlockReceipts") as proxy, answering(proxy) as url:
        assert await batches_of(JsonRpc("ethereum", url, last=3, confirmations=0)) == expected
    assert proxy.seen["debug_traceBlockByHash"] == 1 + 3  # whether it does, and the blocks
    assert proxy.seen["eth_getTransactionReceipt"] == 3 * TRANSACTIONS // BLOCKS


async def test_without_traces_contracts_move_nothing(node: Anvil) -> None:
    [traced] = await batches_of(JsonRpc("ethereum", node.url, last=3, confirmations=0))
    refusing = Proxy(node, "trace_block", "debug_traceBlockByHash")
    with refusing, answering(refusing) as url:
        [batch] = await batches_of(JsonRpc("ethereum", url, last=3, confirmations=0))
        for source, checkpoint in (
            (JsonRpc("ethereum", url, traced=True, confirmations=0), None),
            (JsonRpc("ethereum", url, confirmations=0), traced.checkpoint),
        ):
            with pytest.raises(SourceError, match="does not trace"):
                await batches_of(source, checkpoint)
    assert batch.rows == [row for row in transfers_of([traced]) if row.position not in INNER]
    # Later blocks are read alike, though this node traces.
    source = JsonRpc("ethereum", node.url, confirmations=0)
    rest = transfers_of(await batches_of(source, batch.checkpoint))
    assert not any(row.position in INNER for row in rest)
    source = JsonRpc("ethereum", node.url, traced=True, confirmations=0)
    with pytest.raises(SourceError, match="without what contracts moved"):
        await batches_of(source, batch.checkpoint)


async def test_another_chain_is_refused(node: Anvil) -> None:
    with pytest.raises(SourceError, match="chain number 1, and polygon is number 137"):
        await batches_of(JsonRpc("polygon", node.url))
    with pytest.raises(SourceError, match="bitcoin is not one of"):
        JsonRpc("bitcoin", node.url)
    for url in ("file:///etc/passwd", "http://", "http://host:port/", "ftp://host"):
        with pytest.raises(SourceError, match="not the address of a server"):
            await batches_of(JsonRpc("ethereum", url))


@pytest.mark.parametrize("anyio_backend", ["trio"])  # a node of its own costs the most
async def test_a_reorganisation_below_what_was_imported_is_told() -> None:
    with anvil.running() as node:
        populate(node, 20, 4)
        source = JsonRpc("ethereum", node.url, confirmations=0)
        [batch] = await batches_of(source)
        node.call("anvil_reorg", 2, [])
        with pytest.raises(SourceError, match="reorganised below what has been imported"):
            await batches_of(source, batch.checkpoint)
        node.call("anvil_rollback", 2)
        with pytest.raises(SourceError, match="newest block is 2, and 4 has been imported"):
            await batches_of(source, batch.checkpoint)
        safe = JsonRpc("ethereum", node.url, confirmations=2)
        [batch] = await batches_of(safe)
        node.call("anvil_reorg", 1, [])
        node.mine(4)
        assert (
            transfers_of(await batches_of(safe, batch.checkpoint))
            == transfers_of(await batches_of(safe))[len(batch.rows) :]
        )
