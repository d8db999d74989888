"""A node whose answers come and are wrong: what cannot be read is set aside, or ends the import."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from lbproto_compliance.sources.batches import Batch, SourceError
from lbproto_compliance.sources.json_rpc import JsonRpc
from tests.compliance.faulty_node import ALL, Call, Change, Reading, values, word

pytestmark = pytest.mark.anyio


def changing(method: str, change: Callable[[Any], Any], height: int | None = None) -> Change:
    """Changes the results of a method, or those for one height."""

    def changed(call: Call, result: Any) -> Any:
        if call["method"] != method or (height is not None and call["params"][0] != hex(height)):
            return result
        return change(result)

    return changed


@pytest.mark.parametrize(("chain", "number"), [("ethereum", 1), ("polygon", 137), ("bsc", 56)])
async def test_a_node_has_to_be_of_the_chain(faulty: Reading, chain: str, number: int) -> None:
    source = JsonRpc(chain, faulty.url, confirmations=0, traced=False)
    faulty.node.change = changing("eth_chainId", lambda _: hex(number))
    async with aclosing(source.batches(None)) as batches:
        assert values([batch async for batch in batches]) == ALL
    faulty.node.change = changing("eth_chainId", lambda _: "0x7")
    async with aclosing(source.batches(None)) as batches:
        with pytest.raises(SourceError, match=f"chain number 7, and {chain} is number {number}"):
            await anext(batches)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # it is about what is read
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda block: None, "does not know a block that is confirmed"),
        (lambda block: [], "Expected `object`, got `array`"),
        (lambda block: block | {"hash": 7}, "Expected `str`, got `int`"),
        (lambda block: block | {"hash": "0x7"}, "no hash: '0x7'"),
        (lambda block: block | {"transactions": None}, "Expected `array`, got `null`"),
        (lambda block: block | {"number": "0x9"}, "asked for block 6, the node answers with 0x9"),
        (lambda block: block | {"number": "six"}, "no number: 'six'"),
        (lambda block: block | {"timestamp": "0xffffffffffff"}, "block 6: a block of no time"),
        (lambda block: block | {"timestamp": True}, "Expected `str`, got `bool`"),
    ],
)
async def test_a_block_that_is_none(
    faulty: Reading, change: Callable[[Any], Any], told: str
) -> None:
    faulty.node.change = changing("eth_getBlockByNumber", change, 6)
    got: list[Batch] = []
    with pytest.raises(SourceError) as failed:
        await faulty.read(then=got.append)
    assert told in str(failed.value)
    assert values(got) == ALL[:5]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # it is about what is read
@pytest.mark.parametrize(
    ("method", "change", "reason"),
    [
        ("eth_getBlockByNumber", {"value": 7}, "Expected `str`, got `int`"),
        ("eth_getBlockByNumber", {"value": "0x" + "f" * 65}, "no number"),
        ("eth_getBlockByNumber", {"from": "0x12"}, "no address: '0x12'"),
        ("eth_getBlockByNumber", {"to": None}, "pays nobody and makes no contract"),
        ("eth_getBlockByNumber", {"hash": word(5)}, "the node tells no receipt of it"),
        ("eth_getBlockReceipts", {"status": None}, "does not tell whether it failed"),
        ("eth_getBlockReceipts", {"status": "yes"}, "no number: 'yes'"),
        ("eth_getBlockReceipts", {"transactionHash": word(5)}, "the node tells no receipt of it"),
    ],
)
async def test_a_malformed_transaction_is_set_aside(
    faulty: Reading, method: str, change: dict[str, Any], reason: str
) -> None:
    def changed(result: Any) -> Any:
        if isinstance(result, list):
            return [result[0] | change]
        return result | {"transactions": [result["transactions"][0] | change]}

    faulty.node.change = changing(method, changed, 6)
    batches = await faulty.read()
    assert values(batches) == [value for value in ALL if value != 106]
    [rejected] = [one for batch in batches for one in batch.rejected]
    assert rejected.place == "block 6, transaction 0"
    assert reason in rejected.reason
    assert '"value"' in rejected.row


async def test_a_failed_transaction_moves_nothing(faulty: Reading) -> None:
    faulty.node.change = changing(
        "eth_getBlockReceipts", lambda result: [result[0] | {"status": "0x0"}], 6
    )
    batches = await faulty.read()
    assert values(batches) == [value for value in ALL if value != 106]
    assert not any(batch.rejected for batch in batches)


async def test_a_reorganisation_while_blocks_are_read(faulty: Reading) -> None:
    other = word(77)
    moved = iter([{"blockHash": other}, {}])
    faulty.node.change = changing(
        "eth_getBlockReceipts", lambda result: [result[0] | next(moved, {})], 6
    )
    assert values(await faulty.read()) == ALL
    faulty.node.change = changing("eth_getBlockByNumber", lambda block: block | {"hash": other}, 6)
    with pytest.raises(SourceError, match="block 7 does not stand on block 6, and so it was 5"):
        await faulty.read()
    faulty.node.change = changing(
        "eth_getBlockByNumber", lambda block: block | {"parentHash": other}, 5
    )
    with pytest.raises(SourceError, match=r"block 4 was imported as 0x0+5, and is 0x0+4d now"):
        await faulty.read()


async def test_a_checkpoint_of_something_else(faulty: Reading) -> None:
    for checkpoint in ("", "7", "{}", '{"first": 0, "height": "x", "hash": ""}'):
        with pytest.raises(SourceError, match="not of a chain"):
            await faulty.read(checkpoint)
