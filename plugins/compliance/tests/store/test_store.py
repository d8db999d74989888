"""Snapshots: what is in them, that they stay, and what becomes of rows that come late."""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest

from lbproto import NotFound, UsageError
from lbproto_compliance.importing import Outcome
from lbproto_compliance.sources import Attribution, Transfer
from lbproto_compliance.store import (
    ChainStore,
    Key,
    Movement,
    Snapshot,
    Store,
    chains,
    committing,
)

Imports = Callable[..., Outcome]
Coins = Callable[..., list[Any]]

NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)


class Row(NamedTuple):
    txid: str
    tx_index: int
    side: str
    position: int
    address: str | None
    value: int | None
    prev: tuple[str, int]


@pytest.fixture(scope="module")
def rows(block_file: Path) -> list[Row]:
    """The block once more, by plain Python: spent outputs of the block itself looked up."""
    read = duckdb.read_parquet(str(block_file)).fetchall()
    outputs = {(row[0], row[3]): row[5] for row in read if row[2] == "out"}
    found = []
    for txid, tx_index, side, index, address, value, prev_txid, prev_index in read:
        spent = (prev_txid, prev_index)
        known = outputs.get(spent) if side == "in" and value is None else value
        found.append(Row(txid, tx_index, side, index, address, known, spent))
    return found


def all_pages(snapshot: Snapshot, address: str, limit: int) -> Iterator[Movement]:
    after: Key | None = None
    while page := snapshot.page(address, limit, after):
        assert len(page) <= limit
        yield from page
        after = page[-1].key


def test_a_real_block_counts_as_plain_python_does(block: ChainStore, rows: list[Row]) -> None:
    snapshot = block.latest()
    assert snapshot.manifest.rows("coins") == len(rows) == 9317
    assert snapshot.heights == (481_824, 481_824)
    moved = {(row.address, row.txid) for row in rows if row.address is not None}
    assert snapshot.manifest.rows("movements") == len(moved)
    inputs = {row.address for row in rows if row.side == "in" and row.address is not None}
    assert len(inputs) == 4100
    flows = snapshot.flows()
    assert {flows.addresses[node].decode() for node in set(flows.input_nodes.tolist())} == inputs


def test_movements_are_what_a_transaction_did_to_an_address(
    block: ChainStore, rows: list[Row]
) -> None:
    snapshot = block.latest()
    transactions: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        transactions[row.tx_index].append(row)
    times = Counter(row.address for row in rows if row.address is not None)
    chosen = [address for address, _ in times.most_common(10)]
    chosen += random.Random(1).sample(sorted(times), 30)  # noqa: S311 - no secret
    for address in chosen:
        assert snapshot.holds(address)
        seen = list(all_pages(snapshot, address, 20))
        indices = {row.tx_index for row in rows if row.address == address}
        assert [moved.tx_index for moved in seen] == sorted(indices, reverse=True)
        for moved in seen:
            expected = movement(transactions[moved.tx_index], address)
            assert (moved.direction, moved.value) == expected
            assert address not in moved.counterparties
            assert moved.timestamp == datetime(2017, 8, 24, 1, 57, 37)  # noqa: DTZ001 - UTC


def movement(transaction: list[Row], address: str) -> tuple[str, str | None]:
    paid = [row.value for row in transaction if (row.side, row.address) == ("in", address)]
    received = [row for row in transaction if (row.side, row.address) == ("out", address)]
    income = sum(row.value or 0 for row in received)
    if not paid:
        return "in", str(income)
    if {row.address for row in transaction if row.side == "in" or row.value} == {address}:
        return "self", str(income)
    if None in paid:
        return "out", None
    net = income - sum(value for value in paid if value is not None)
    return ("in" if net > 0 else "out"), str(abs(net))


def test_what_nobody_has_imported(store: Store, block: ChainStore) -> None:
    with pytest.raises(NotFound, match="no such chain"):
        store.chain("dogecoin")
    with pytest.raises(NotFound, match="no data of bitcoin"):
        store.chain("bitcoin").latest()
    assert store.chains() == []
    assert not block.latest().holds("1BoatSLRHtKNngkdXEeobR76b53LETtpyT")
    assert block.latest().page("' OR 1 = 1 --", 5) == []


@pytest.mark.parametrize("id_", ["0" * 32, "", "../latest", "F" * 32, "0" * 33, "\0"])
def test_a_snapshot_that_is_not_there(block: ChainStore, id_: str) -> None:
    with pytest.raises(NotFound):
        block.snapshot(id_)


def test_a_snapshot_stays_what_it_is(
    store: Store, imports: Imports, told: Any, coins: Coins
) -> None:
    chain = store.chain("bitcoin")
    first = imports(
        chain, told("a", "coins", [coins(1, 0, "t1", [(None, None, None)], [("miner", 50)])])
    ).snapshot
    later = coins(2, 1, "t2", [("miner", 50, ("t1", 0))], [("shop", 30), ("miner", 19)])
    second = imports(chain, told("b", "coins", [later])).snapshot
    assert (first.id, second.id) == tuple(chain.snapshots())
    assert chain.latest().id == second.id
    assert [moved.tx_hash for moved in first.page("miner", 9)] == ["t1"]
    assert [moved.tx_hash for moved in second.page("miner", 9)] == ["t2", "t1"]
    assert (first.heights, second.heights) == ((1, 1), (1, 2))
    moved = second.page("miner", 1)[0]
    # What has come back is not a payment; the fee is.
    assert (moved.direction, moved.value, moved.counterparties) == ("out", "31", ["shop"])


def test_the_same_data_are_the_same_snapshot(
    tmp_path: Path, imports: Imports, told: Any, coins: Coins
) -> None:
    batches = [coins(n, 0, f"t{n}", [(None, None, None)], [("miner", n)]) for n in range(1, 9)]
    ids = {
        imports(Store(tmp_path / name).chain("bitcoin"), told("a", "coins", batches)).snapshot.id
        for name in "xy"
    }
    assert len(ids) == 1


def test_rows_that_are_there_are_not_there_twice(
    store: Store, imports: Imports, told: Any, coins: Coins
) -> None:
    chain = store.chain("bitcoin")
    batches = [coins(n, 0, f"t{n}", [(None, None, None)], [("miner", n)]) for n in range(1, 9)]
    assert imports(chain, told("a", "coins", batches[:5])).added == 10
    outcome = imports(chain, told("b", "coins", batches[2:] + batches))
    assert outcome.added == 6
    assert [moved.value for moved in outcome.snapshot.page("miner", 99)] == list("87654321")


def test_an_output_that_comes_late_says_what_was_spent(
    store: Store, imports: Imports, told: Any, coins: Coins
) -> None:
    chain = store.chain("bitcoin")
    spending = coins(7, 3, "t2", [(None, None, ("t1", 1))], [("shop", 30), ("ada", 19)])
    imports(chain, told("b", "coins", [spending]))
    assert [moved.value for moved in chain.latest().page("ada", 9)] == ["19"]
    spent = coins(6, 1, "t1", [(None, None, None)], [("bob", 1), ("ada", 50)])
    imports(chain, told("a", "coins", [spent]))
    movements = chain.latest().page("ada", 9)
    assert [(moved.direction, moved.value) for moved in movements] == [("out", "31"), ("in", "50")]
    flows = chain.latest().flows()
    assert sorted(flows.amounts.tolist()) == [19, 30]


def transfer(
    height: int,
    index: int,
    position: int,
    sender: str | None,
    receiver: str | None,
    value: str,
    **changes: Any,
) -> Transfer:
    row = Transfer(
        height, NOON, index, position, f"t{height}-{index}", sender, receiver, "ETH", value
    )
    return row._replace(**changes)


def test_accounts_gain_and_lose_exactly(store: Store, imports: Imports, told: Any) -> None:
    huge = 2**256 - 1
    rows = [
        transfer(1, 0, 0, "ada", "contract", "5"),
        transfer(1, 0, 1, "contract", "bob", "3"),
        transfer(1, 0, 1_000_000, None, "ada", str(huge), asset="token"),
        transfer(1, 1, 0, "ada", "ada", "7"),
        transfer(1, 2, 1_000_007, "ada", None, str(huge), asset="token"),
        transfer(2, 0, 0, "bob", "contract", "0"),
    ]
    snapshot = imports(store.chain("ethereum"), told("a", "transfers", [rows])).snapshot

    def seen(address: str) -> list[tuple[str, str, str | None, list[str]]]:
        return [
            (moved.direction, moved.asset, moved.value, moved.counterparties)
            for moved in all_pages(snapshot, address, 1)
        ]

    assert seen("ada") == [
        ("out", "token", str(huge), []),
        ("self", "ETH", "7", []),
        ("in", "token", str(huge), []),
        ("out", "ETH", "5", ["contract"]),
    ]
    assert seen("contract") == [("in", "ETH", "0", ["bob"]), ("in", "ETH", "2", ["ada", "bob"])]
    assert seen("bob") == [("out", "ETH", "0", ["contract"]), ("in", "ETH", "3", ["contract"])]


def test_a_place_in_the_block_is_found_for_who_does_not_tell(
    store: Store, imports: Imports, told: Any
) -> None:
    rows = [
        transfer(1, -1, 1_000_004, "a", "b", "1", tx_hash="known", asset="token"),
        transfer(1, -1, 1_000_001, "a", "b", "2", tx_hash="second", asset="token"),
        transfer(1, -1, 1_000_002, "a", "b", "3", tx_hash="third", asset="token"),
        transfer(1, 6, 0, "a", "b", "4", tx_hash="known"),
    ]
    snapshot = imports(store.chain("ethereum"), told("a", "transfers", [rows])).snapshot
    seen = [(moved.tx_hash, moved.tx_index) for moved in all_pages(snapshot, "a", 1)]
    assert seen == [
        ("third", 1_000_001),
        ("second", 1_000_000),
        ("known", 6),
        ("known", 6),
    ]


def test_more_of_a_transaction_joins_what_is_there(
    store: Store, imports: Imports, told: Any
) -> None:
    chain = store.chain("ethereum")
    imports(chain, told("a", "transfers", [[transfer(1, 0, 0, "ada", "bob", "5")]]))
    imports(chain, told("b", "transfers", [[transfer(1, 0, 1, "bob", "ada", "2")]]))
    movements = chain.latest().page("ada", 9)
    assert [(moved.direction, moved.value) for moved in movements] == [("out", "3")]


def test_many_small_imports_end_in_few_files(
    store: Store, imports: Imports, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "MAX_PARTS", 3)
    chain = store.chain("ethereum")
    batches = [[transfer(height, 0, 0, "a", "b", "1")] for height in range(6)]
    for end in range(1, 7):
        imports(chain, told("node", "transfers", batches[:end]))
    latest = chain.latest()
    assert len(latest.manifest.of("movements")) == 3
    assert [moved.height for moved in all_pages(latest, "a", 4)] == [5, 4, 3, 2, 1, 0]
    (imported,) = latest.manifest.imported
    assert (imported.rows, imported.checkpoint) == (6, "6")


def attribution(address: str, source: str, **changes: Any) -> Attribution:
    row = Attribution(
        address, "Acme", "exchange", source, None, date(2020, 5, 1), 0.5, "NG", "acme"
    )
    return row._replace(**changes)


def test_a_newer_list_takes_the_place_of_the_older(
    store: Store, imports: Imports, told: Any
) -> None:
    chain = store.chain("ethereum")
    old = [attribution("a", "list"), attribution("b", "list"), attribution("a", "others")]
    imports(chain, told("v1", "attributions", [old]))
    assert chain.latest().attributions() == {"a": [old[0], old[2]], "b": [old[1]]}
    assert (chain.latest().heights, chain.latest().page("a", 1)) == (None, [])
    assert chain.latest().graph().node("a") is None
    new = attribution("c", "list", listed_on=None, country=None, entity=None)
    imports(chain, told("v2", "attributions", [[new]]))
    assert chain.latest().attributions() == {"a": [old[2]], "c": [new]}


def test_only_the_snapshots_that_were_read_last_stay_open(
    store: Store, imports: Imports, told: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "_OPEN", 2)
    chain = store.chain("ethereum")
    batches = [[transfer(height, 0, 0, "a", "b", "1")] for height in range(3)]
    first, second, third = (
        imports(chain, told("node", "transfers", batches[:end])).snapshot for end in (1, 2, 3)
    )
    assert chain.snapshot(third.id) is third
    assert chain.snapshot(second.id) is second
    assert chain.snapshot(first.id) is not first
    assert chain.snapshot(second.id) is second


def test_old_snapshots_go_when_they_are_told_to(
    store: Store, imports: Imports, told: Any, coins: Coins
) -> None:
    chain = store.chain("bitcoin")
    batches = [coins(n, 0, f"t{n}", [(None, None, None)], [("miner", n)]) for n in range(1, 4)]
    ids = [imports(chain, told("a", "coins", batches[: n + 1])).snapshot.id for n in range(3)]
    assert list(chain.layout.importing.iterdir()) == []
    reading = Store(store.directory).chain("bitcoin")  # as another process does
    assert reading.snapshot(ids[0]).heights == (1, 1)
    pruned = chain.prune(1)
    assert pruned.snapshots == ids[:2]
    assert chain.snapshots() == ids[2:]
    assert len(chain.latest().page("miner", 9)) == 3
    for one in (chain, reading):
        with pytest.raises(NotFound, match="begin again"):
            one.snapshot(ids[0])


def test_what_a_killed_process_has_half_made_goes_with_old_snapshots(
    store: Store, imports: Imports, told: Any, coins: Coins
) -> None:
    chain = store.chain("bitcoin")
    imports(chain, told("a", "coins", [coins(1, 0, "t", [(None, None, None)], [("miner", 1)])]))
    layout = chain.layout
    killed = layout.graphs / f".{chain.latest().id}-0123456789abcdef"
    building = layout.graphs / f".{chain.latest().id}-fedcba9876543210"
    manifest = layout.snapshots / ".snapshot.json.4711"
    for directory in (killed, building):
        directory.mkdir()
        (directory / "txs.npy").write_bytes(b"half")
    manifest.write_bytes(b"{")
    for path in (killed, manifest):
        os.utime(path, (0, 0))
    chain.prune(1)
    assert [path.exists() for path in (killed, manifest, building)] == [False, False, True]
    assert chain.latest().graph().nodes == 1


def test_a_damaged_manifest_is_told(
    store: Store, imports: Imports, told: Any, coins: Coins
) -> None:
    chain = store.chain("bitcoin")
    rows = coins(1, 0, "t", [(None, None, None)], [("miner", 1)])
    id_ = imports(chain, told("a", "coins", [rows])).snapshot.id
    path = chain.layout.snapshots / f"{id_}.json"
    path.write_bytes(path.read_bytes().replace(b"bitcoin", b"Bitcoin"))
    with pytest.raises(UsageError, match="damaged"):
        Store(store.directory).chain("bitcoin").latest()
