"""Bitcoin from an explorer: a real block as it is, and everything that can go wrong."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import anyio.lowlevel
import pytest

from lbproto_compliance.sources.batches import Batch, Coin, SourceError
from lbproto_compliance.sources.esplora import Esplora
from lbproto_compliance.sources.peers import Patience
from tests.compliance.explorer import (
    HEIGHT,
    Explorer,
    Transaction,
    coinbase,
    real_transactions,
)
from tests.compliance.web_server import Asked, Said, answering

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def transactions() -> list[Transaction]:
    return real_transactions()


@pytest.fixture
def explorer(transactions: list[Transaction]) -> Explorer:
    """The real block's first 60 transactions, and four small blocks behind it."""
    return Explorer(HEIGHT, [transactions[:60], *([coinbase(number)] for number in range(1, 5))])


async def read(explorer: Explorer, checkpoint: str | None = None, **settings: Any) -> list[Batch]:
    async def sleep(seconds: float) -> None:
        await anyio.lowlevel.checkpoint()

    settings = {"first": HEIGHT, "confirmations": 0, "blocks": 2} | settings
    patience = Patience(attempts=2, sleep=sleep)
    with answering(explorer) as url:
        source = Esplora(url + "/", patience=patience, **settings)
        async with aclosing(source.batches(checkpoint)) as batches:
            return [batch async for batch in batches]


def coins_of(batches: list[Batch]) -> list[Coin]:
    return [row for batch in batches for row in batch.rows if isinstance(row, Coin)]


@pytest.mark.parametrize("anyio_backend", ["trio"])  # it is large
async def test_a_real_block(transactions: list[Transaction]) -> None:
    [batch] = await read(Explorer(HEIGHT, [transactions]))
    rows = coins_of([batch])
    assert batch.rejected == []
    assert batch.done == 1
    assert Counter(row.side for row in rows) == {"in": 5_193, "out": 4_124}
    assert len({row.tx_hash for row in rows}) == 1_866
    assert len({row.address for row in rows if row.side == "in" and row.address}) == 4_100
    assert rows[0] == Coin(
        height=HEIGHT,
        timestamp=datetime(2017, 8, 24, 1, 57, 37, tzinfo=UTC),
        tx_index=0,
        tx_hash="da917699942e4a96272401b534381a75512eeebe8403084500bd637bd47168b3",
        side="in",
        position=0,
        address=None,
        value=None,
        prev_tx_hash=None,
        prev_index=None,
    )
    assert rows[1][4:8] == ("out", 0, "152f1muMCNa7goXYhYAQC61hxEgGacmncB", 1_462_514_269)
    assert rows[3].prev_tx_hash is not None
    assert [row[:3] for row in rows] == sorted(row[:3] for row in rows)


async def test_it_goes_on_behind_a_checkpoint(explorer: Explorer) -> None:
    first, second, third = await read(explorer)
    assert [first.done, second.done, third.done] == [2 / 5, 4 / 5, 1]
    explorer.asked.clear()
    assert await read(explorer, first.checkpoint) == [second, third]
    assert not any(explorer.hashes[HEIGHT] in path for path in explorer.asked)
    assert await read(explorer, third.checkpoint) == []
    assert coins_of(await read(explorer, confirmations=3)) == coins_of([first])
    assert await read(explorer, confirmations=5) == []


async def test_another_chain_is_refused(explorer: Explorer) -> None:
    explorer.hashes[0] = "0" * 64
    with pytest.raises(SourceError, match="not of Bitcoin's main network"):
        await read(explorer)


async def test_a_reorganisation_below_what_was_imported_is_told(explorer: Explorer) -> None:
    first, *_ = await read(explorer)
    explorer.put(HEIGHT + 1, [coinbase(9)], version=1)
    with pytest.raises(SourceError, match="reorganised below what has been imported"):
        await read(explorer, first.checkpoint)


async def test_blocks_that_do_not_stand_on_each_other(explorer: Explorer) -> None:
    path = f"/block/{explorer.hashes[HEIGHT + 1]}"
    block = json.loads(explorer(Asked(path, b"")).body)
    explorer.changes[path] = Said(json.dumps(block | {"previousblockhash": "e" * 64}).encode())
    with pytest.raises(SourceError, match=f"{HEIGHT + 1} does not stand on block {HEIGHT}, and so"):
        await read(explorer)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # it is about what is read
@pytest.mark.parametrize(
    ("path", "said", "reason"),
    [
        ("/blocks/tip/height", Said(b"<html>"), "its answer cannot be read"),
        ("/blocks/tip/height", Said(b"9" * 5_000), "its answer cannot be read"),
        ("/block-height/481824", Said(b"Block not found", 404), "it answers 404"),
        ("/block-height/481824", Said(b"x" * 64), "its answer cannot be read: no hash"),
        ("/block/{hash}", Said(b"{}"), "missing required field"),
        ("/block/{hash}", Said(b"[1"), "its answer cannot be read"),
        ("/block/{hash}/txs/25", Said(b"[]"), "0 transactions on a page that should have 25"),
        ("/block/{hash}/txs/50", Said(b"null"), "Expected `array`, got `null`"),
        ("/block/{hash}/txs/50", Said(b"[{}", sent=2), "the connection failed"),
    ],
)
async def test_what_cannot_be_read_is_told(
    explorer: Explorer, path: str, said: Said, reason: str
) -> None:
    explorer.changes[path.format(hash=explorer.hashes[HEIGHT])] = said
    with pytest.raises(SourceError, match=reason):
        await read(explorer)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # it is about what is read
@pytest.mark.parametrize(
    "change",
    [
        {"id": "0" * 64},
        {"height": 7},
        {"height": -1},
        {"timestamp": 2**40},
        {"tx_count": 10**9},
        {"tx_count": 0},
        {"id": "../../etc"},
    ],
)
async def test_a_block_that_is_none(explorer: Explorer, change: dict[str, Any]) -> None:
    path = f"/block/{explorer.hashes[HEIGHT]}"
    block = json.loads(explorer(Asked(path, b"")).body)
    explorer.changes[path] = Said(json.dumps(block | change).encode())
    with pytest.raises(SourceError, match=r"it tells of|cannot be read"):
        await read(explorer)


def spending(**change: Any) -> Transaction:
    made = {"value": 5, "scriptpubkey_address": "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"}
    spent = {"txid": "ab" * 32, "vout": 0, "prevout": made, "is_coinbase": False}
    return {"txid": "cd" * 32, "vin": [spent], "vout": [made]} | change


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # it is about what is read
@pytest.mark.parametrize(
    ("transaction", "reason"),
    [
        ({}, "missing required field"),
        (7, "Expected `object`"),
        (spending(txid="xyz"), "matching regex"),
        (spending(vin=None), "Expected `array`"),
        (spending(vout=[{"value": -1}]), "Expected `int` >= 0"),
        (spending(vout=[{"value": 21_000_001 * 10**8}]), "Expected `int` <="),
        (spending(vout=[{"value": 1.5}]), "Expected `int`, got `float`"),
        (spending(vout=[{"value": 1, "scriptpubkey_address": 7}]), "Expected `str"),
    ],
)
async def test_a_malformed_transaction_is_set_aside(
    explorer: Explorer, transaction: Any, reason: str
) -> None:
    explorer.put(HEIGHT, [coinbase(1), transaction, coinbase(2)])
    [batch] = await read(explorer, last=HEIGHT)
    assert {row.tx_index for row in coins_of([batch])} == {0, 2}
    [rejected] = batch.rejected
    assert rejected.place == f"block {HEIGHT}, transaction 1"
    assert reason in rejected.reason


async def test_an_address_that_is_none_is_set_aside(explorer: Explorer) -> None:
    change = {"vout": [{"value": 3, "scriptpubkey_address": "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn"}]}
    explorer.put(HEIGHT, [spending(**change)])
    [batch] = await read(explorer, last=HEIGHT)
    assert [row.address for row in coins_of([batch])][1:] == [None]
    [rejected] = batch.rejected
    assert rejected.place == f"block {HEIGHT}, transaction 0, output 0"
    assert "network" in rejected.reason
