"""A made-up chain, written down payment by payment, and what is said of those who pay."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Unpack

import numpy as np
import pytest

from lbproto_compliance.analysis import Analysis, analyse
from lbproto_compliance.graph import Flows, Graph
from lbproto_compliance.sources import Attribution

if TYPE_CHECKING:
    from typing import TypedDict

    from lbproto_compliance.analysis import Method, Step, Weights
    from lbproto_compliance.graph import Limits
    from lbproto_compliance.prices import Prices

    class Options(TypedDict, total=False):
        taint: Method
        prices: Prices
        weights: Weights
        limits: Limits
        step: Step


class Book:
    """Addresses are names. Transactions are an hour apart, from 2024-03-01 on.

    Args:
        chain: whose it is.
    """

    def __init__(self, chain: str = "ethereum") -> None:
        self.chain = chain
        self.parties: list[set[str]] = []
        """Of each transaction."""
        self.said: dict[str, list[Attribution]] = {}
        self._edges: list[tuple[str, str, int, float, str]] = []
        self._inputs: list[tuple[int, str]] = []
        self._outputs: list[tuple[int, str, float]] = []

    def pay(self, source: str, target: str, amount: float = 10**18, asset: str = "ETH") -> str:
        """A transfer between accounts, in a transaction of its own, whose hash is returned."""
        return self.transfer((source, target, amount), asset=asset)

    def transfer(self, *rows: tuple[str, str, float], asset: str = "ETH") -> str:
        """Several transfers (source, target, amount) in one transaction."""
        self.parties.append({name for row in rows for name in row[:2]})
        tx = len(self.parties) - 1
        self._edges += [(source, target, tx, amount, asset) for source, target, amount in rows]
        return self.hash(tx)

    def spend(self, inputs: dict[str, int], outputs: list[tuple[str, int]]) -> str:
        """A transaction of coins; each input pays its share of each output."""
        self.parties.append({*inputs, *(target for target, _ in outputs)})
        tx = len(self.parties) - 1
        self._inputs += [(tx, source) for source in inputs]
        self._outputs += [(tx, target, amount) for target, amount in outputs]
        whole = sum(inputs.values())
        self._edges += [
            (source, target, tx, amount * value / whole, "BTC")
            for source, value in inputs.items()
            for target, amount in outputs
        ]
        return self.hash(tx)

    def say(
        self, address: str, category: str, *, confidence: float = 1.0, source: str = "a list"
    ) -> None:
        """Attribute an address."""
        self.said.setdefault(address, []).append(
            Attribution(
                address,
                f"{address} the {category}",
                category,
                source,
                "https://list.example",
                date(2024, 1, 2),
                confidence,
                None,
                None,
            )
        )

    def hash(self, tx: int) -> str:
        """The hash of a transaction by its number."""
        return f"tx{tx:06}"

    def touches(self, tx_hash: str | None, address: str) -> bool:
        """Whether an address is in a transaction."""
        return tx_hash is not None and address in self.parties[int(tx_hash.removeprefix("tx"))]

    @cached_property
    def graph(self) -> Graph:
        """Of what was written down until it is first asked for."""
        names = sorted(set().union(*self.parties))
        at = {name: node for node, name in enumerate(names)}
        assets = list(dict.fromkeys(edge[4] for edge in self._edges))
        return Graph.of(
            Flows(
                addresses=np.array(names, "S"),
                tx_hashes=np.array([self.hash(tx) for tx in range(len(self.parties))], "S"),
                tx_times=np.arange(len(self.parties)) * 3600 + 1_709_251_200,
                sources=np.array([at[edge[0]] for edge in self._edges], np.int32),
                targets=np.array([at[edge[1]] for edge in self._edges], np.int32),
                txs=np.array([edge[2] for edge in self._edges], np.int32),
                amounts=np.array([edge[3] for edge in self._edges], np.float64),
                assets=np.array([assets.index(edge[4]) for edge in self._edges], np.int16),
                asset_names=tuple(assets),
                input_txs=np.array([tx for tx, _ in self._inputs], np.int32),
                input_nodes=np.array([at[name] for _, name in self._inputs], np.int32),
                output_txs=np.array([tx for tx, _, _ in self._outputs], np.int32),
                output_nodes=np.array([at[name] for _, name, _ in self._outputs], np.int32),
                output_amounts=np.array([amount for *_, amount in self._outputs], np.float64),
            )
        )

    def analyse(self, address: str, hops: int = 2, **options: Unpack[Options]) -> Analysis:
        """What there is to say; checked for what holds of every analysis."""
        analysis = analyse(self.graph, self.said, address, hops, chain=self.chain, **options)
        assert sum(signal.contribution for signal in analysis.signals) == analysis.risk_score
        for signal in analysis.signals:
            assert signal.evidence
            assert all(self.touches(each.tx_hash, each.address) for each in signal.evidence)
        return analysis


@pytest.fixture(scope="session")
def new_book() -> type[Book]:
    """For tests that begin several."""
    return Book


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def coins() -> Book:
    return Book("bitcoin")
