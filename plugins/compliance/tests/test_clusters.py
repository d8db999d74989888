"""Whose addresses are one owner's: on a real block, and on the shapes of the literature."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto_compliance.graph import CONFIDENCE, Flows, Graph, build
from lbproto_compliance.graph.clusters import join
from lbproto_compliance.graph.coinjoin import MAX_DUST

Transaction: TypeAlias = tuple[Sequence[str], Sequence[tuple[str, int]]]
"""Addresses of the inputs; addresses and amounts of the outputs."""

_BLOCK = Path(__file__).parents[2] / "query/lbproto_query/data/default/bitcoin_block.parquet"
_NO_EDGES = np.empty(0, np.int32)


def _flows(transactions: Iterable[Transaction]) -> Flows:
    listed = list(transactions)
    inputs = [(tx, each) for tx, (paying, _) in enumerate(listed) for each in sorted({*paying})]
    outputs = [(tx, *each) for tx, (_, paid) in enumerate(listed) for each in paid]
    addresses = sorted({row[1] for row in (*inputs, *outputs)})
    places = {address: at for at, address in enumerate(addresses)}
    return Flows(
        addresses=np.array(addresses, "S"),
        tx_hashes=np.array([f"{tx:04}" for tx in range(len(listed))], "S"),
        tx_times=np.arange(len(listed)),
        sources=_NO_EDGES,
        targets=_NO_EDGES,
        txs=_NO_EDGES,
        amounts=np.empty(0),
        assets=np.empty(0, np.int16),
        asset_names=("BTC",),
        input_txs=np.array([tx for tx, _ in inputs], np.int32),
        input_nodes=np.array([places[address] for _, address in inputs], np.int32),
        output_txs=np.array([tx for tx, *_ in outputs], np.int32),
        output_nodes=np.array([places[address] for _, address, _ in outputs], np.int32),
        output_amounts=np.array([amount for *_, amount in outputs], np.float64),
    )


def _graph(transactions: Iterable[Transaction]) -> Graph:
    return Graph.of(_flows(transactions))


def _members(graph: Graph, address: str) -> set[str]:
    node = graph.node(address)
    assert node is not None
    return {graph.address(member) for member in graph.cluster(node).members.tolist()}


@cache
def _block() -> list[Transaction]:
    """Bitcoin's block 481824, a transaction each."""
    rows = duckdb.read_parquet(str(_BLOCK)).order("tx_index, side, index")
    paying: dict[int, list[str]] = defaultdict(list)
    paid: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for tx, side, address, value in rows.project("tx_index, side, address, value_sat").fetchall():
        if address is None:
            continue
        if side == "in":
            paying[tx].append(address)
        else:
            paid[tx].append((address, value))
    return [(paying[tx], paid[tx]) for tx in sorted({*paying, *paid})]


def _counted(transactions: Iterable[Transaction]) -> list[int]:
    """The sizes of clusters of input addresses, the largest first: a union-find of its own."""
    parents: dict[str, str] = {}

    def root(address: str) -> str:
        while parents.setdefault(address, address) != address:
            address = parents[address]
        return address

    for paying, _ in transactions:
        for address in paying:
            parents[root(address)] = root(paying[0])
    return sorted(Counter(map(root, list(parents))).values(), reverse=True)


def _sizes(graph: Graph) -> list[int]:
    paying = np.unique(graph.arrays.input_nodes)
    return sorted(Counter(graph.cluster_roots[paying].tolist()).values(), reverse=True)


def test_a_real_block_by_common_inputs() -> None:
    graph = _graph(_block())
    sizes = _sizes(graph)
    assert (sum(sizes), len(sizes), sizes[0]) == (4_100, 1_664, 472)
    assert sizes == _counted(_block())


def test_the_real_block_has_no_coinjoin_to_leave_out() -> None:
    """So leaving them out changes nothing in it. What comes closest pays the same to three of 30
    addresses from two: a service that pays its customers."""
    assert not _graph(_block()).coinjoins.any()
    close = [
        (len({*paying}), len(paid), amount, times)
        for paying, paid in _block()
        for amount, times in Counter(amount for _, amount in paid).most_common(1)
        if times >= 3 and len({*paying}) >= 2
    ]
    assert close == [(2, 30, 240_000, 3)]


def test_a_coinjoin_would_join_the_block_s_largest_owners() -> None:
    """What leaving it out is for: one more transaction, between an address of each of three."""
    whole = _graph(_block())
    roots = Counter(whole.cluster_roots[np.unique(whole.arrays.input_nodes)].tolist())
    owners = [whole.address(root) for root, _ in roots.most_common(3)]
    mixed = _mix(owners, 10_000_000)
    graph = _graph([*_block(), mixed])
    assert np.flatnonzero(graph.coinjoins).tolist() == [len(_block())]
    assert _sizes(graph) == _counted(_block())
    assert _counted([*_block(), mixed])[0] == 472 + 322 + 150  # what it would be


def _mix(
    payers: Sequence[str], amount: int, *, changes: int | None = None, fee: bool = False
) -> Transaction:
    """Everybody gets the same, and some change of another amount; perhaps a coordinator's fee."""
    count = len(payers) if changes is None else changes
    return (
        payers,
        [
            *((f"mixed{at}", amount) for at in range(len(payers))),
            *((f"change{at}", 1_000_000 + 7 * at) for at in range(count)),
            *([("fee", 345_678)] if fee else []),
        ],
    )


def _payers(count: int) -> list[str]:
    return [f"payer{at}" for at in range(count)]


@pytest.mark.parametrize(
    ("transaction", "coinjoin"),
    [
        pytest.param(_mix(_payers(3), 5_000_000), True, id="joinmarket"),
        pytest.param(_mix(_payers(4), 5_000_000, changes=3), True, id="joinmarket-sweep"),
        pytest.param(_mix(_payers(5), 5_000_000, changes=0), True, id="whirlpool"),
        pytest.param(_mix(_payers(60), 10_016_430, fee=True), True, id="wasabi"),
        pytest.param(
            (
                _payers(60),
                [(f"mixed{at}", 5_000 * 2 ** (at % 12)) for at in range(70)]
                + [(f"change{at}", 123_457 + at) for at in range(20)],
            ),
            True,
            id="wabisabi",
        ),
        pytest.param(_mix(_payers(2), 5_000_000), False, id="two-are-chance"),
        pytest.param((_payers(2), _mix(_payers(5), 5_000_000)[1]), False, id="few-payers"),
        pytest.param((["payer0"] * 5, _mix(_payers(5), 5_000_000)[1]), False, id="one-payer-often"),
        pytest.param((_payers(9), [("shop", 5_000_000)] * 4), False, id="one-is-paid-often"),
        pytest.param(_mix(_payers(5), MAX_DUST), False, id="dust"),
        pytest.param(_mix(_payers(4), 5_000_000, changes=9), False, id="a-service-pays-out"),
        pytest.param((_payers(40), [("shop", 5_000_000)]), False, id="consolidation"),
        pytest.param(([], [("miner", 1_250_000_000)]), False, id="coinbase"),
        pytest.param((_payers(3), []), False, id="nobody-is-paid"),
    ],
)
def test_coinjoins_are_told_by_their_shape(transaction: Transaction, coinjoin: bool) -> None:
    graph = _graph([transaction])
    assert graph.coinjoins.tolist() == [coinjoin]
    joined = len({*transaction[0]}) if transaction[0] and not coinjoin else 1
    assert max(_sizes(graph), default=1) == joined


def test_a_cluster_says_what_it_stands_on() -> None:
    graph = _graph([(["c", "b"], [("x", 1)]), (["b", "a"], [("y", 1)])])
    node = graph.node("c")
    assert node is not None
    cluster = graph.cluster(node)
    assert (cluster.id, cluster.size) == ("a", 3)
    assert (cluster.heuristics, cluster.confidence) == (("common_input_ownership",), 0.9)
    alone = graph.node("x")
    assert alone is not None
    assert graph.cluster(alone)[2:] == ((), 1.0)


def test_the_table_of_the_explanation_is_the_one_in_use() -> None:
    told = (Path(__file__).parents[3] / "docs/explanation/owners.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", told, re.MULTILINE)
    assert {name: float(sure) for name, sure in rows} == CONFIDENCE


_PAYER = (["payer"], [("shop", 5)])


@pytest.mark.parametrize(
    ("transactions", "change"),
    [
        pytest.param([_PAYER, (["a"], [("shop", 3), ("new", 4)])], "new", id="one-is-new"),
        pytest.param([(["a"], [("shop", 3), ("new", 4)])], None, id="both-are-new"),
        pytest.param([_PAYER, (["a"], [("shop", 3), ("a", 4)])], None, id="goes-back"),
        pytest.param(
            [_PAYER, (["a"], [("shop", 3), ("new", 4), ("a", 1)])], None, id="goes-back-as-well"
        ),
        pytest.param([_PAYER, (["a"], [("new", 4)])], None, id="nothing-else-is-paid"),
        pytest.param(
            [_PAYER, (["a"], [("shop", 3), ("new", 4)]), (["b"], [("new", 1)])], None, id="again"
        ),
        pytest.param([_PAYER, ([], [("shop", 3), ("new", 4)])], None, id="coinbase"),
        pytest.param(
            [
                ([], [("mixed0", 1), ("mixed1", 1)]),
                (_payers(3), [(f"mixed{at}", 5_000_000) for at in range(3)]),
            ],
            None,
            id="coinjoin",
        ),
    ],
)
def test_likely_change_is_told(transactions: list[Transaction], change: str | None) -> None:
    graph = _graph(transactions)
    at = int(graph.changes[1 if len(transactions) > 1 else 0])
    assert (graph.address(at) if at >= 0 else None) == change


def test_likely_change_joins_only_where_it_is_asked_for(tmp_path: Path) -> None:
    transactions: list[Transaction] = [_PAYER, (["a", "b"], [("shop", 3), ("new", 4)])]
    assert _members(_graph(transactions), "new") == {"new"}
    build(tmp_path / "joined", _flows(transactions), join_change=True)
    graph = Graph.open(tmp_path / "joined")
    assert _members(graph, "new") == {"a", "b", "new"}
    node = graph.node("new")
    assert node is not None
    assert graph.cluster(node).heuristics == ("common_input_ownership", "change_output")
    assert graph.cluster(node).confidence == 0.5


@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40))
def test_pairs_are_joined_as_plain_python_joins_them(pairs: list[tuple[int, int]]) -> None:
    labels = list(range(30))
    for left, right in pairs:
        least = min(labels[left], labels[right])
        joined = {labels[left], labels[right]}
        labels = [least if label in joined else label for label in labels]
    columns = np.array(pairs, np.int32).reshape(-1, 2).T
    assert join(30, *columns).tolist() == labels


@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled", "star"])
def test_a_chain_of_any_order_is_one(order: str) -> None:
    nodes = np.arange(100_000, dtype=np.int32)
    if order == "descending":
        nodes = nodes[::-1]
    elif order == "shuffled":
        nodes = np.random.default_rng(8).permutation(nodes)
    left = np.full(len(nodes) - 1, nodes[-1], np.int32) if order == "star" else nodes[1:]
    assert not join(len(nodes), left, nodes[:-1]).any()
