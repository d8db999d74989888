"""Customers that share an exchange's deposit address (Victor 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest

from lbproto_compliance.graph import Flows, Forwarding, Graph, depositors

ETH = 1e18
_HOUR = 3_600
_TOKEN = "0xtoken"


class Pay(NamedTuple):
    source: str
    target: str
    amount: float
    hours: float
    asset: str = "ETH"


def _graph(payments: Sequence[Pay]) -> Graph:
    names = sorted({name for payment in payments for name in payment[:2]})
    count = len(payments)
    return Graph.of(
        Flows(
            addresses=np.array(names, "S"),
            tx_hashes=np.array([f"{tx:04}" for tx in range(count)], "S"),
            tx_times=np.array([round(payment.hours * _HOUR) for payment in payments]),
            sources=np.array([names.index(payment.source) for payment in payments], np.int32),
            targets=np.array([names.index(payment.target) for payment in payments], np.int32),
            txs=np.arange(count, dtype=np.int32),
            amounts=np.array([payment.amount for payment in payments]),
            assets=np.array([int(payment.asset == _TOKEN) for payment in payments], np.int16),
            asset_names=("ETH", _TOKEN),
        ),
    )


def _node(graph: Graph, name: str) -> int:
    node = graph.node(name)
    assert node is not None
    return node


_SHARED = (
    Pay("ann", "deposit", 2 * ETH, 0),
    Pay("deposit", "exchange", 1.999 * ETH, 1),
    Pay("bob", "deposit", 5 * ETH, 2),
    Pay("deposit", "exchange", 4.999 * ETH, 3),
    Pay("eve", "deposit", 1 * ETH, 4),  # not forwarded yet
    Pay("ann", "shop", 1 * ETH, 5),
)


@pytest.mark.parametrize("asked", ["ann", "bob", "deposit"])
def test_who_shares_a_deposit_address_is_one_customer(asked: str) -> None:
    graph = _graph(_SHARED)
    exchanges = [_node(graph, "exchange")]
    cluster = depositors(graph, _node(graph, asked), exchanges)
    assert [graph.address(node) for node in cluster.members.tolist()] == ["ann", "bob", "deposit"]
    assert (cluster.id, cluster.heuristics) == ("ann", ("deposit_address_reuse",))
    assert cluster.confidence == 0.8


@pytest.mark.parametrize("asked", ["eve", "shop", "exchange"])
def test_others_are_alone(asked: str) -> None:
    graph = _graph(_SHARED)
    node, exchanges = _node(graph, asked), [_node(graph, "exchange")]
    assert depositors(graph, node, exchanges)[2:] == ((), 1.0)


@pytest.mark.parametrize(
    ("payments", "shared"),
    [
        pytest.param([Pay("a", "d", ETH, 0), Pay("d", "x", ETH, 1)], True, id="whole"),
        pytest.param([Pay("a", "d", ETH, 0), Pay("d", "x", 0.98 * ETH, 1)], False, id="less"),
        pytest.param([Pay("a", "d", ETH, 0), Pay("d", "x", 1.01 * ETH, 1)], False, id="more"),
        pytest.param([Pay("a", "d", ETH, 0), Pay("d", "x", ETH, 13)], False, id="late"),
        pytest.param([Pay("d", "x", ETH, 0), Pay("a", "d", ETH, 1)], False, id="before"),
        pytest.param([Pay("a", "d", 0, 0), Pay("d", "x", 0, 1)], False, id="nothing"),
        pytest.param(
            [Pay("a", "d", ETH, 0), Pay("d", "x", ETH, 1), Pay("d", "shop", 1, 2)],
            False,
            id="pays-others",
        ),
        pytest.param(
            [Pay("a", "d", 9.5, 0, _TOKEN), Pay("d", "x", 9.5, 1, _TOKEN)], True, id="token"
        ),
        pytest.param(
            [Pay("a", "d", ETH, 0, _TOKEN), Pay("d", "x", 0.999 * ETH, 1, _TOKEN)],
            False,
            id="tokens-pay-no-fee",
        ),
        pytest.param(
            [Pay("a", "d", ETH, 0, _TOKEN), Pay("d", "x", ETH, 1)], False, id="another-asset"
        ),
        pytest.param([Pay("a", "x", ETH, 0), Pay("x", "x", ETH, 1)], False, id="exchange-itself"),
    ],
)
def test_what_counts_as_forwarded(payments: list[Pay], shared: bool) -> None:
    graph = _graph(payments)
    assert (depositors(graph, _node(graph, "a"), [_node(graph, "x")]).size > 1) == shared


def test_each_payment_is_forwarded_once() -> None:
    payments = [
        Pay("ann", "d", ETH, 0),
        Pay("bob", "d", ETH, 1),
        Pay("d", "x", ETH, 2),
        Pay("d", "x", ETH, 3),
        Pay("d", "x", ETH, 4),
    ]
    graph = _graph(payments)
    assert depositors(graph, _node(graph, "ann"), [_node(graph, "x")]).size == 3


def test_customers_are_found_through_others() -> None:
    payments = []
    for at in range(4):
        payments += [
            Pay(f"user{at}", f"deposit{at}", ETH, 2 * at),
            Pay(f"deposit{at}", "x", ETH, 2 * at + 0.5),
            Pay(f"user{at + 1}", f"deposit{at}", ETH, 2 * at + 1),
            Pay(f"deposit{at}", "x", ETH, 2 * at + 1.5),
        ]
    graph = _graph(payments)
    exchanges = [_node(graph, "x")]
    assert depositors(graph, _node(graph, "user0"), exchanges).size == 9
    # user0 itself has one transaction, and its deposit address four.
    assert depositors(graph, _node(graph, "user0"), exchanges, most=5).size == 3


def test_a_busy_address_is_not_looked_at() -> None:
    graph = _graph(_SHARED)
    exchanges = [_node(graph, "exchange")]
    rules = Forwarding(most_degree=4)  # the deposit address has five
    assert depositors(graph, _node(graph, "ann"), exchanges, rules).size == 1
