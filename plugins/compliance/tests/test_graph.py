"""A graph that is built and mapped: what it holds, and that it is there whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto_compliance.graph import Edges, Flows, Graph, build

Payment: TypeAlias = tuple[int, int, int]
"""Source, target, transaction."""

_NODES, _TXS = 12, 40
_PAYMENTS = st.lists(
    st.tuples(st.integers(0, _NODES - 1), st.integers(0, _NODES - 1), st.integers(0, _TXS - 1)),
    max_size=60,
)
_SOME: tuple[Payment, ...] = ((0, 1, 3), (2, 1, 0), (0, 2, 1), (1, 1, 2), (0, 1, 2))


def _flows(payments: Sequence[Payment]) -> Flows:
    """On a chain of accounts; each payment's amount is its position and a half."""
    sources, targets, txs = np.array(payments, np.int32).reshape(-1, 3).T
    return Flows(
        addresses=np.array([f"0x{node:02}" for node in range(_NODES)], "S"),
        tx_hashes=np.array([f"tx{tx:02}" for tx in range(_TXS)], "S"),
        tx_times=np.arange(_TXS) * 12 + 1_500_000_000,
        sources=sources,
        targets=targets,
        txs=txs,
        amounts=np.arange(0.5, len(payments)),
        assets=np.arange(len(payments), dtype=np.int16) % 2,
        asset_names=("ETH", "0xtoken"),
    )


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    build(tmp_path / "graph", _flows(_SOME))
    return Graph.open(tmp_path / "graph")


def _rows(edges: Edges) -> list[tuple[float, ...]]:
    return [tuple(row) for row in zip(*(column.tolist() for column in edges), strict=True)]


def test_payments_of_a_node_are_in_the_order_of_time(graph: Graph) -> None:
    assert _rows(graph.outgoing(0)) == [(0, 2, 1, 2.5, 0), (0, 1, 2, 4.5, 0), (0, 1, 3, 0.5, 0)]
    assert _rows(graph.incoming(1)) == [
        (2, 1, 0, 1.5, 1),
        (0, 1, 2, 4.5, 0),
        (1, 1, 2, 3.5, 1),
        (0, 1, 3, 0.5, 0),
    ]
    assert _rows(graph.outgoing(_NODES - 1)) == []
    assert (graph.nodes, graph.edges) == (_NODES, len(_SOME))
    assert graph.asset_names == ("ETH", "0xtoken")


@given(_PAYMENTS)
def test_every_payment_is_found_from_both_ends(payments: list[Payment]) -> None:
    graph = Graph.of(_flows(payments))
    rows = [(*payment, at + 0.5, at % 2) for at, payment in enumerate(payments)]
    for node in range(_NODES):
        out, into = _rows(graph.outgoing(node)), _rows(graph.incoming(node))
        assert sorted(out) == sorted(row for row in rows if row[0] == node)
        assert sorted(into) == sorted(row for row in rows if row[1] == node)
        assert [row[2] for row in out] == sorted(row[2] for row in out)
        assert [row[2] for row in into] == sorted(row[2] for row in into)
        taking_part = {tx for source, target, tx in payments if node in (source, target)}
        assert graph.degree(node) == len(taking_part)
        assert graph.first_tx(node) == min(taking_part, default=None)


def test_addresses_and_transactions_have_names(graph: Graph) -> None:
    assert [graph.node(graph.address(node)) for node in range(_NODES)] == list(range(_NODES))
    assert graph.tx_hash(7) == "tx07"
    assert graph.tx_time(7) == 1_500_000_084
    assert not graph.coinjoins.any()
    assert not len(graph.inputs(3))
    assert not len(graph.outputs(3).nodes)


@pytest.mark.parametrize(
    "address",
    ["", "0x", "0x0", "0x12", "~", "!", "0x01\0", "\0", "0x01" + "0" * 1_000_000, "0x0é", "\ud800"],
)
def test_an_address_that_is_not_held_has_no_node(graph: Graph, address: str) -> None:
    assert graph.node(address) is None


def test_nothing_is_a_graph_too(tmp_path: Path) -> None:
    nothing = _flows([])._replace(
        addresses=np.empty(0, "S4"), tx_hashes=np.empty(0, "S4"), tx_times=np.empty(0, np.int64)
    )
    build(tmp_path / "graph", nothing)
    graph = Graph.open(tmp_path / "graph")
    assert (graph.nodes, graph.edges, graph.node("0x01")) == (0, 0, None)


def test_a_graph_that_is_there_is_left_alone(tmp_path: Path) -> None:
    build(tmp_path / "graph", _flows(_SOME))
    build(tmp_path / "graph", _flows([]))
    assert Graph.open(tmp_path / "graph").edges == len(_SOME)


def test_several_may_build_it_at_a_time(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        for built in [threads.submit(build, tmp_path / "graph", _flows(_SOME)) for _ in range(4)]:
            built.result()
    assert Graph.open(tmp_path / "graph").edges == len(_SOME)
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]


def test_what_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(np, "save", full)
        with pytest.raises(OSError, match="no space"):
            build(tmp_path / "graph", _flows(_SOME))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "why"), [("targets.npy", "cut"), ("graph.json", "cut"), ("txs.npy", "missing")]
)
def test_a_broken_graph_is_refused(tmp_path: Path, name: str, why: str) -> None:
    build(tmp_path / "graph", _flows(_SOME))
    broken = tmp_path / "graph" / name
    if why == "missing":
        broken.unlink()
    else:
        broken.write_bytes(broken.read_bytes()[:-1])
    with pytest.raises((OSError, ValueError)):
        Graph.open(tmp_path / "graph")


def test_a_graph_of_another_format_is_refused(tmp_path: Path) -> None:
    build(tmp_path / "graph", _flows(_SOME))
    (tmp_path / "graph" / "graph.json").write_text('{"format": 0, "asset_names": []}')
    with pytest.raises(ValueError, match="format 0"):
        Graph.open(tmp_path / "graph")


def test_a_graph_outlives_its_files(tmp_path: Path) -> None:
    build(tmp_path / "graph", _flows(_SOME))
    graph = Graph.open(tmp_path / "graph")
    shutil.rmtree(tmp_path / "graph")  # a snapshot is pruned while it is analysed
    assert len(graph.outgoing(0).txs) == 3


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"targets": np.array([_NODES] * 5, np.int32)}, "edges is not below 12"),
        ({"sources": np.array([-1] * 5, np.int32)}, "edges is not below 12"),
        ({"assets": np.array([2] * 5, np.int16)}, "edges is not below 2"),
        ({"amounts": np.ones(4)}, "edges are not of one length"),
        ({"tx_times": np.zeros(3, np.int64)}, "transactions are not of one length"),
        ({"input_nodes": np.zeros(1, np.int32)}, "inputs are not of one length"),
        (
            dict.fromkeys(("input_txs", "input_nodes"), np.broadcast_to(np.int32(0), 1 << 31)),
            "more than 2,147,483,647 inputs",
        ),
        (
            {"input_txs": np.array([1, 0], np.int32), "input_nodes": np.zeros(2, np.int32)},
            "not in the order",
        ),
        ({"addresses": np.array(["0x00", *["0x01"] * 11], "S")}, "not sorted, or not distinct"),
    ],
)
def test_positions_that_point_nowhere_are_refused(
    tmp_path: Path, wrong: dict[str, object], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        build(tmp_path / "graph", _flows(_SOME)._replace(**wrong))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
