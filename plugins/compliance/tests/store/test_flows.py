"""A snapshot's payments as arrays, against plain Python."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from lbproto_compliance.graph import Flows
from lbproto_compliance.importing import Outcome
from lbproto_compliance.sources import Transfer
from lbproto_compliance.store import ChainStore, Store, flows

Imports = Callable[..., Outcome]
Coins = Callable[..., list[Any]]
Edges = dict[tuple[str, str, str], float]


def edges(found: Flows) -> Edges:
    """Amounts by who paid, who was paid, and the transaction."""
    assert found.sources.dtype == found.targets.dtype == found.txs.dtype == np.int32
    assert found.amounts.dtype == np.float64
    assert found.assets.dtype == np.int16
    return {
        (
            found.addresses[source].decode(),
            found.addresses[target].decode(),
            found.tx_hashes[tx].decode(),
        ): amount
        for source, target, tx, amount in zip(
            found.sources.tolist(),
            found.targets.tolist(),
            found.txs.tolist(),
            found.amounts.tolist(),
            strict=True,
        )
    }


def test_each_payer_of_a_real_block_pays_each_payee_its_share(
    block: ChainStore, block_file: Path
) -> None:
    read = duckdb.read_parquet(str(block_file)).fetchall()
    values = {(row[0], row[3]): row[5] for row in read if row[2] == "out"}
    paying: dict[str, list[tuple[str | None, int | None]]] = defaultdict(list)
    paid: dict[str, Counter[str]] = defaultdict(Counter)
    for txid, _, side, _, address, value, prev_txid, prev_index in read:
        if side == "in":
            known = values.get((prev_txid, prev_index)) if value is None else value
            paying[txid].append((address, known))
        elif address is not None and value:
            paid[txid][address] += value
    expected: Edges = {}
    for txid, inputs in paying.items():
        known = [value for _, value in inputs if value is not None]
        told = len(known) == len(inputs)
        shares: dict[str | None, float] = defaultdict(float)
        for address, value in inputs:
            shares[address] += (value or 0) / sum(known) if told else 1 / len(inputs)
        for payer, share in shares.items():
            for payee, amount in paid[txid].items():
                if payer is not None:
                    expected[payer, payee, txid] = share * amount
    found = block.latest().flows()
    assert edges(found) == pytest.approx(expected)
    assert found.txs.tolist() == sorted(found.txs.tolist())
    assert found.addresses.tolist() == sorted(set(found.addresses.tolist()))
    assert [tx.decode() for tx in found.tx_hashes] == list(dict.fromkeys(row[0] for row in read))
    assert set(found.tx_times.tolist()) == {1_503_539_857}
    outputs = [row for row in read if row[2] == "out" and row[4] is not None]
    assert [
        (tx, found.addresses[node].decode(), value)
        for tx, node, value in zip(
            found.output_txs.tolist(),
            found.output_nodes.tolist(),
            found.output_amounts.tolist(),
            strict=True,
        )
    ] == [(row[1], row[4], row[5]) for row in outputs]
    inputs_ = {(row[1], row[4]) for row in read if row[2] == "in" and row[4] is not None}
    pairs = list(zip(found.input_txs.tolist(), found.input_nodes.tolist(), strict=True))
    assert pairs == sorted(pairs)
    assert {(tx, found.addresses[node].decode()) for tx, node in pairs} == inputs_


def test_the_graph_stands_on_them(block: ChainStore) -> None:
    graph = block.latest().graph()
    assert graph.nodes == len(block.latest().flows().addresses)
    assert (block.layout.graphs / block.latest().id).is_dir()


def test_a_transaction_of_too_many_pairs_keeps_the_largest(
    store: Store,
    imports: Imports,
    told: Any,
    coins: Coins,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(flows, "MAX_EDGES", 9)
    many = coins(
        *(1, 0, "many"),
        [(f"in{n}", n, ("before", n)) for n in range(1, 7)],
        [(f"out{n}", n) for n in range(1, 6)],
    )
    payout = coins(1, 1, "payout", [("in1", 45, ("before", 9))], [(f"out{n}", n) for n in range(9)])
    chain = store.chain("bitcoin")
    with caplog.at_level(logging.WARNING):
        imports(chain, told("a", "coins", [many + payout]))
    found = edges(chain.latest().flows())
    assert "1 transactions have more than 9 pairs" in caplog.text
    assert {pair[:2] for pair in found if pair[2] == "many"} == {
        (f"in{payer}", f"out{payee}") for payer in (6, 5, 4) for payee in (5, 4, 3)
    }
    assert found["in6", "out5", "many"] == pytest.approx(6 / 21 * 5)
    assert sum(amount for pair, amount in found.items() if pair[2] == "payout") == 36


def test_transfers_of_accounts(store: Store, imports: Imports, told: Any) -> None:
    noon = datetime(2020, 1, 1, 12, tzinfo=UTC)

    def transfer(index: int, position: int, *moved: Any) -> Transfer:
        return Transfer(5, noon, index, position, f"t{index}", *moved)

    rows = [
        transfer(1, 1_000_001, "b", "a", "token", str(10**60)),
        transfer(0, 0, "b", "c", "ETH", "3"),
        transfer(1, 0, "a", "b", "ETH", "0"),
        transfer(0, 1, None, "a", "ETH", "5"),
        transfer(1, 1_000_000, "b", "b", "ETH", "2"),
    ]
    chain = store.chain("ethereum")
    imports(chain, told("a", "transfers", [rows]))
    found = chain.latest().flows()
    assert edges(found) == {("b", "c", "t0"): 3, ("b", "b", "t1"): 2, ("b", "a", "t1"): 1e60}
    assert [found.asset_names[kind] for kind in found.assets] == ["ETH", "ETH", "token"]
    assert found.addresses.tolist() == [b"a", b"b", b"c"]
    assert found.tx_times.tolist() == [1_577_880_000] * 2
    assert len(found.input_txs) == len(found.output_txs) == 0
