"""Layouts of bitcoin-etl and ethereum-etl, and of recorded files, in each format."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lbproto_compliance.importing import Outcome
from lbproto_compliance.sources import SourceError
from lbproto_compliance.sources.layouts import file_sources
from lbproto_compliance.sources.recorded import Moment
from lbproto_compliance.store import ChainStore, Store

Imports = Callable[..., Outcome]

ADA, BOB, COIN = (f"0x{digit * 40}" for digit in "abc")
FIRST, SECOND, THIRD = (f"0x{digit * 64}" for digit in "123")


def write_csv(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {
                name: json.dumps(value) if isinstance(value, list) else value
                for name, value in row.items()
            }
            for row in rows
        )
    return path


def write_json(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_gzipped(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_bytes(gzip.compress(write_json(path.with_suffix(".tmp"), rows).read_bytes()))
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        file = write_json(path.with_suffix(".tmp"), rows)
        connection.execute(
            f"COPY (FROM read_json('{file}', format='newline_delimited')) TO '{path}'"
        )
    return path


WRITERS = {
    "csv": write_csv,
    "json": write_json,
    "json.gz": write_gzipped,
    "JSON.GZ": write_gzipped,
    "parquet": write_parquet,
}


@pytest.fixture(scope="module")
def exported(block_file: Path) -> list[dict[str, Any]]:
    """The first transactions of a real block as bitcoin-etl exports them, enriched."""
    read = duckdb.read_parquet(str(block_file)).fetchall()
    values = {(row[0], row[3]): row[5] for row in read if row[2] == "out"}
    transactions: dict[str, dict[str, Any]] = {}
    for txid, tx_index, side, index, address, value, prev_txid, prev_index in read:
        if tx_index >= 100:
            continue
        row = transactions.setdefault(
            txid,
            {
                "hash": txid,
                "size": 200,
                "block_number": 481_824,
                "block_timestamp": 1_503_539_857,
                "is_coinbase": tx_index == 0,
                "index": tx_index,
                "inputs": [],
                "outputs": [],
            },
        )
        item = {
            "index": index,
            "type": "pubkeyhash",
            "addresses": [] if address is None else [address],
            "value": value,
        }
        if side == "out":
            row["outputs"].append(item)
        elif prev_txid != "coinbase":
            item["value"] = values.get((prev_txid, prev_index))
            row["inputs"].append(
                item | {"spent_transaction_hash": prev_txid, "spent_output_index": prev_index}
            )
    for row in transactions.values():
        row |= {"input_count": len(row["inputs"]), "output_count": len(row["outputs"])}
    return list(transactions.values())


def coins_of(chain: ChainStore) -> list[Any]:
    snapshot = chain.latest()
    parts = chain.layout.paths(snapshot.manifest.of("coins"))
    return duckdb.execute(
        "FROM read_parquet(?) WHERE tx_index % 1_000_000 < 100 ORDER BY tx_index, side, position",
        [parts],
    ).fetchall()


@pytest.mark.parametrize("kind", WRITERS)
def test_transactions_of_bitcoin_etl(
    tmp_path: Path,
    store: Store,
    imports: Imports,
    exported: list[dict[str, Any]],
    block: ChainStore,
    kind: str,
) -> None:
    path = WRITERS[kind](tmp_path / f"transactions.{kind}", exported)
    chain = store.chain("bitcoin")
    outcome = imports(chain, *file_sources("bitcoin", [path]))
    assert outcome.read[0].rejects == []
    # The same as from the recorded file, but for the coinbase: bitcoin-etl has no input of it.
    expected = [row for row in coins_of(block) if (row[2], row[4]) != (0, "in")]
    assert coins_of(chain) == expected


def test_transactions_that_do_not_tell_their_place(
    tmp_path: Path, store: Store, imports: Imports, exported: list[dict[str, Any]]
) -> None:
    rows = [{key: row[key] for key in row if key != "index"} for row in exported]
    chain = store.chain("bitcoin")
    parts = [write_json(tmp_path / f"{n}.json", rows[n::2]) for n in range(2)]
    imports(chain, *file_sources("bitcoin", parts))
    found = dict.fromkeys((row[3], row[2]) for row in coins_of(chain))
    assert list(found) == [
        (row["hash"], 1_000_000 + place) for place, row in enumerate([*rows[::2], *rows[1::2]])
    ]


def ethereum(directory: Path, kind: str) -> dict[str, Path]:
    """Two blocks, as ethereum-etl exports them."""
    write = WRITERS[kind]
    blocks = [
        {"number": number, "hash": FIRST, "timestamp": 1_600_000_000 + number, "gas_used": 7}
        for number in (1, 2)
    ]
    transactions = [
        {
            "hash": hash_,
            "nonce": 1,
            "block_number": block,
            "transaction_index": index,
            "from_address": ADA,
            "to_address": to,
            "value": value,
            "block_timestamp": 1_600_000_000 + block,
        }
        for hash_, block, index, to, value in (
            (FIRST, 1, 0, BOB, "1000000000000000000"),
            (SECOND, 1, 5, None, "5"),
            (THIRD, 2, 0, BOB, "7"),
        )
    ]
    receipts = [
        {
            "transaction_hash": hash_,
            "transaction_index": 0,
            "block_number": 1,
            "contract_address": contract,
            "status": status,
        }
        for hash_, contract, status in ((FIRST, None, 1), (SECOND, COIN, 1), (THIRD, None, 0))
    ]
    tokens = [
        {
            "token_address": COIN,
            "from_address": sender,
            "to_address": BOB,
            "value": str(2**255),
            "transaction_hash": SECOND,
            "log_index": log,
            "block_number": 1,
        }
        for sender, log in ((f"0x{0:040x}", 3), (ADA, 4))
    ]
    traces = [
        {
            "block_number": 1,
            "transaction_hash": hash_,
            "transaction_index": index,
            "from_address": sender,
            "to_address": receiver,
            "value": value,
            "trace_type": kind_,
            "call_type": call,
            "trace_address": address,
            "error": error,
            "status": status,
        }
        for hash_, index, sender, receiver, value, kind_, call, address, error, status in (
            (FIRST, 0, ADA, BOB, "1000000000000000000", "call", "call", None, None, 1),
            (FIRST, 0, BOB, COIN, "400", "call", "call", "0", None, 1),
            (FIRST, 0, BOB, COIN, "0", "call", "staticcall", "0,0", None, 1),
            (FIRST, 0, BOB, COIN, "9", "call", "delegatecall", "0,1", None, 1),
            (FIRST, 0, BOB, COIN, "8", "call", "call", "1", "Out of gas", 0),
            (FIRST, 0, BOB, ADA, "300", "suicide", None, "0,2", None, 1),
            (None, None, None, BOB, "2000000000000000000", "reward", None, None, None, 1),
        )
    ]
    rows: dict[str, list[dict[str, Any]]] = {
        "blocks": blocks,
        "transactions": transactions,
        "receipts": receipts,
        "token_transfers": tokens,
        "traces": traces,
    }
    return {name: write(directory / f"{name}.{kind}", some) for name, some in rows.items()}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_files_of_ethereum_etl_complete_each_other(
    tmp_path: Path, store: Store, imports: Imports, kind: str
) -> None:
    files = ethereum(tmp_path, kind)
    chain = store.chain("ethereum")
    outcome = imports(chain, *file_sources("ethereum", list(files.values())))
    assert [read.rejects for read in outcome.read] == [[], [], []]
    parts = chain.layout.paths(outcome.snapshot.manifest.of("transfers"))
    read = duckdb.execute(
        "SELECT * EXCLUDE (timestamp) FROM read_parquet(?) ORDER BY height, tx_index, position",
        [parts],
    ).fetchall()
    assert read == [
        (1, 0, 0, FIRST, ADA, BOB, "ETH", "1000000000000000000"),
        (1, 0, 1, FIRST, BOB, COIN, "ETH", "400"),
        (1, 0, 2, FIRST, BOB, ADA, "ETH", "300"),
        (1, 5, 0, SECOND, ADA, COIN, "ETH", "5"),
        (1, 5, 1_000_003, SECOND, None, BOB, COIN, str(2**255)),
        (1, 5, 1_000_004, SECOND, ADA, BOB, COIN, str(2**255)),
        (1, 1_000_000, 1, "reward:1:0", None, BOB, "ETH", "2000000000000000000"),
    ]
    assert outcome.snapshot.page(BOB, 1)[0].timestamp == datetime(2020, 9, 13, 12, 26, 41)  # noqa: DTZ001 - UTC


def test_what_failed_moves_nothing_where_the_transactions_tell_it_themselves(
    tmp_path: Path, store: Store, imports: Imports
) -> None:
    transaction = {
        "block_number": 1,
        "block_timestamp": 1_600_000_000,
        "from_address": ADA,
        "to_address": BOB,
        "value": "5",
    }
    rows = [
        transaction | {"hash": hash_, "transaction_index": index, "receipt_status": status}
        for index, (hash_, status) in enumerate(((FIRST, 1), (SECOND, 0), (THIRD, None)))
    ]
    path = write_json(tmp_path / "transactions.json", rows)
    snapshot = imports(store.chain("ethereum"), *file_sources("ethereum", [path])).snapshot
    assert [move.tx_hash for move in snapshot.page(BOB, 9)] == [THIRD, FIRST]


@pytest.mark.parametrize("chain", ["ethereum", "polygon", "bsc"])
def test_chains_of_ethereums_kind_have_its_layouts(tmp_path: Path, chain: str) -> None:
    [source] = file_sources(chain, [ethereum(tmp_path, "csv")["token_transfers"]])
    assert source.table == "transfers"


def test_a_transfer_whose_block_nobody_knows_is_set_aside(
    tmp_path: Path, store: Store, imports: Imports
) -> None:
    files = ethereum(tmp_path, "csv")
    outcome = imports(
        store.chain("ethereum"), *file_sources("ethereum", [files["token_transfers"]])
    )
    assert (outcome.added, outcome.read[0].rejected) == (0, 2)
    assert outcome.read[0].rejects[0].reason == (
        "the time of block 1 is not known: import the file of blocks with it"
    )


def test_a_ledger_without_hashes(tmp_path: Path, store: Store, imports: Imports) -> None:
    path = write_csv(
        tmp_path / "moves.csv",
        [
            {"from_address": sender, "to_address": BOB, "value": value}
            for sender, value in ((ADA.upper().replace("X", "x"), "12"), (COIN, "0"))
        ],
    )
    moment = Moment(1_920_000, datetime(2016, 7, 20, 13, 20, 40, tzinfo=UTC), "dao-fork")
    snapshot = imports(store.chain("ethereum"), *file_sources("ethereum", [path], moment)).snapshot
    assert [(one.tx_hash, one.value, one.counterparties) for one in snapshot.page(BOB, 9)] == [
        ("dao-fork:1", "0", [COIN]),
        ("dao-fork:0", "12", [ADA]),
    ]
    with pytest.raises(SourceError, match="give --height and --time"):
        file_sources("ethereum", [path])


def test_ledgers_without_a_label_do_not_pass_for_each_other(
    tmp_path: Path, store: Store, imports: Imports
) -> None:
    one, other = (
        write_csv(
            tmp_path / f"{value}.csv", [{"from_address": ADA, "to_address": BOB, "value": value}]
        )
        for value in ("1", "2")
    )
    moment = Moment(1_920_000, datetime(2016, 7, 20, 13, 20, 40, tzinfo=UTC))
    chain = store.chain("ethereum")
    assert imports(chain, *file_sources("ethereum", [one], moment)).added == 1
    assert imports(chain, *file_sources("ethereum", [other], moment)).added == 1
    moves = chain.latest().page(BOB, 9)
    assert sorted(move.value or "" for move in moves) == ["1", "2"]
    assert len({move.tx_hash for move in moves}) == 2
    labelled = Moment(moment.height, moment.time, "ours")
    with pytest.raises(SourceError, match="a label names the rows of one file"):
        file_sources("ethereum", [one, other], labelled)


def test_files_of_no_use_are_refused(tmp_path: Path, block_file: Path, moment: Moment) -> None:
    files = ethereum(tmp_path, "csv")
    with pytest.raises(SourceError, match="blocks and receipts alone"):
        file_sources("ethereum", [files["blocks"], files["receipts"]])
    with pytest.raises(
        SourceError, match=r"no layout that is known of bitcoin: it has .*log_index"
    ):
        file_sources("bitcoin", [files["token_transfers"]])
    for chain in ("tron", "ethereum"):
        with pytest.raises(SourceError, match=f"no layout that is known of {chain}"):
            file_sources(chain, [block_file], moment)
    with pytest.raises(SourceError, match="No such file"):
        file_sources("bitcoin", [tmp_path / "missing.csv"])
    with pytest.raises(SourceError, match="Is a directory"):
        file_sources("bitcoin", [tmp_path])
    for name, content in (("empty.csv", b""), ("empty.json", b"\n"), ("list.json", b"[1]\n")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(SourceError, match=r"has no header|does not begin with a line of JSON"):
            file_sources("bitcoin", [path])
