"""The data that come with the package: what somebody who knows the case expects to read."""

from __future__ import annotations

from collections import Counter

import pytest

from lbproto_compliance import bundled_store
from lbproto_compliance.analysis import Analysis, analyse
from lbproto_compliance.store import Snapshot, Store

WITHDRAW_DAO = "0xbf4ed7b27f1d666546e30d74d50d173d20bca754"
DARK_DAO = "0x304a554a310c7e546dfe434669c62820b7d83490"


@pytest.fixture(scope="module")
def store() -> Store:
    return bundled_store()


def _analyse(snapshot: Snapshot, chain: str, address: str, hops: int = 2) -> Analysis:
    analysis = analyse(
        snapshot.graph(),
        snapshot.attributions(),
        address,
        hops,
        chain=chain,
    )
    assert sum(signal.contribution for signal in analysis.signals) == analysis.risk_score
    return analysis


def test_the_dao_refund_contract_is_not_accused(store: Store) -> None:
    """The fork moved all that The DAO had into it, what had been drained too, to be paid back."""
    snapshot = store.chain("ethereum").latest()
    analysis = _analyse(snapshot, "ethereum", WITHDRAW_DAO, 5)
    assert (analysis.risk_score, analysis.risk_level) == (0, "unknown")
    assert not analysis.truncated
    own = analysis.clusters[0]
    assert (own.size, own.label, own.category) == (1, "The DAO: WithdrawDAO", "defi")

    # That three tenths had been stolen is told, with whom from, and counts nothing.
    (signal,) = analysis.signals
    moves = snapshot.page(WITHDRAW_DAO, 500, None)
    paid = {move.counterparties[0]: int(move.value or 0) for move in moves}
    share = 100 * paid[DARK_DAO] / sum(paid.values())
    assert (signal.code, signal.direction, signal.hops) == ("stolen_funds", "incoming", 1)
    assert (signal.pct, signal.severity) == (round(share, 2), "info") == (30.35, "info")
    assert [each.address for each in signal.evidence] == [DARK_DAO]
    assert signal.evidence[0].tx_hash in {move.tx_hash for move in moves}


def test_of_those_who_were_moved_the_drain_alone_is_accused(store: Store) -> None:
    snapshot = store.chain("ethereum").latest()
    moves = snapshot.page(WITHDRAW_DAO, 500, None)
    payers = {move.counterparties[0] for move in moves}
    scores = {payer: _analyse(snapshot, "ethereum", payer).risk_score for payer in payers}
    assert {payer: score for payer, score in scores.items() if score} == {DARK_DAO: 85}


def test_of_a_real_block_nobody_is_accused_but_peel_chains_are_seen(store: Store) -> None:
    """It is one block of 2017 without a mixer or a thief that is known; every fifteenth address."""
    snapshot = store.chain("bitcoin").latest()
    graph = snapshot.graph()
    analyses = [
        _analyse(snapshot, "bitcoin", graph.address(node)) for node in range(0, graph.nodes, 15)
    ]
    assert len(analyses) > 500
    codes = Counter(signal.code for analysis in analyses for signal in analysis.signals)
    assert set(codes) == {"peel_chain"}
    assert codes["peel_chain"] < len(analyses) / 100
    assert max(analysis.risk_score for analysis in analyses) == 16


def test_a_real_peel_chain_of_fourteen_payments(store: Store) -> None:
    """Found by following the larger of two outputs by hand, from payment to payment."""
    snapshot = store.chain("bitcoin").latest()
    graph = snapshot.graph()
    (signal,) = _analyse(snapshot, "bitcoin", "121YPRYpz1pXwUy71ajzVPpMsaGRqbxgKc").signals
    assert (signal.code, signal.direction, signal.severity) == ("peel_chain", "outgoing", "low")
    assert signal.evidence[2].source == "peel chain, payment 3 of 14"

    address, length = signal.evidence[0].address, 0
    while len((paid := graph.outgoing(graph.node(address) or 0)).txs):
        tx = int(paid.txs[0])
        outputs = graph.outputs(tx)
        if len(graph.inputs(tx)) != 1 or len(outputs.nodes) != 2:
            break
        if outputs.amounts.max() < 0.8 * outputs.amounts.sum():
            break
        address, length = graph.address(int(outputs.nodes[outputs.amounts.argmax()])), length + 1
    assert length == 14
