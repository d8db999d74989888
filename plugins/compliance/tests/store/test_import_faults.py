"""Files with malformed rows, files cut off in the middle, and hostile ones."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto_compliance.chains import CHAINS
from lbproto_compliance.importing import Outcome
from lbproto_compliance.sources import SourceError, records
from lbproto_compliance.sources.blockchain_etl import (
    Facts,
    bitcoin_transaction,
    token_transfer,
    transaction,
)
from lbproto_compliance.sources.layouts import file_sources
from lbproto_compliance.sources.recorded import Moment
from lbproto_compliance.sources.records import CutOff, Malformed, RecordFile
from lbproto_compliance.sources.values import amount
from lbproto_compliance.store import Store

Imports = Callable[..., Outcome]

UNPARTED = "it is not an object of JSON, or has not the columns of the header"
HEADER = "txid,tx_index,side,index,address,value_sat,prev_txid,prev_index\n"
SHOP = "152f1muMCNa7goXYhYAQC61hxEgGacmncB"
ADA = f"0x{'a' * 40}"


def hash_(digit: int) -> str:
    return f"{digit:x}" * 64


def line(digit: int, side: str = "out", value: object = 5, address: str = SHOP) -> str:
    return f"{hash_(digit)},{digit},{side},0,{address},{value},,\n"


MALFORMED = [
    (line(2, value=""), "value_sat is missing"),
    (line(2, value="-5"), "value_sat is not a whole number of base units: '-5'"),
    (line(2, value="0.5"), "value_sat is not a whole number of base units: '0.5'"),
    (line(2, value="five"), "value_sat is not a number: 'five'"),
    (line(2, value="nan"), "value_sat is beyond 78 digits"),
    (line(2, value="9" * 500), "value_sat is beyond 78 digits"),
    (line(2, value=21 * 10**14 + 1), "value_sat is more than 2100000000000000"),
    (line(2, side="up"), "side is neither in nor out: 'up'"),
    (
        line(2, address="0OIl"),
        "'0OIl': Malformed address (alphabet): it has a character that Base58 does not have",
    ),
    (
        line(2, address="1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3"),
        (
            "'1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3': Malformed address (checksum): "
            "its last characters do not match those before"
        ),
    ),
    (
        line(2, address="tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"),
        (
            "'tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx': Malformed address (network): "
            "it is of a test network, not of the main one"
        ),
    ),
    (line(2).replace(hash_(2), "xyz"), "txid is not a hash of 32 bytes: 'xyz'"),
    (line(2)[:-3] + "\n", UNPARTED),
    ('"' + line(2), UNPARTED),
    ("\0\n", UNPARTED),
]


def test_malformed_rows_are_set_aside_with_their_reasons(
    tmp_path: Path, store: Store, imports: Imports, moment: Moment
) -> None:
    path = tmp_path / "block.csv"
    path.write_text(HEADER + line(1) + "".join(bad + line(3) for bad, _ in MALFORMED))
    chain = store.chain("bitcoin")
    outcome = imports(chain, *file_sources("bitcoin", [path], moment))
    assert outcome.added == 2
    expected = [(f"line {3 + 2 * n}", reason) for n, (_, reason) in enumerate(MALFORMED)]
    assert outcome.read[0].rejected == len(expected)
    assert [(one.place, one.reason) for one in outcome.read[0].rejects] == expected[:5]
    manifest = outcome.snapshot.manifest
    assert manifest.rows("rejected") == manifest.imported[0].rejected == len(expected)
    kept = duckdb.execute(
        "FROM read_parquet(?)", [chain.layout.paths(manifest.of("rejected"))]
    ).fetchall()
    assert kept == [
        (outcome.read[0].name, place, reason, bad[:1000].rstrip("\n"))
        for (place, reason), (bad, _) in zip(expected, MALFORMED, strict=True)
    ]


def test_a_transaction_is_set_aside_as_a_whole(
    tmp_path: Path, store: Store, imports: Imports, moment: Moment
) -> None:
    path = tmp_path / "block.csv"
    path.write_text(HEADER + line(1) + line(2, "in", "") + line(2, value="x") + line(3))
    outcome = imports(store.chain("bitcoin"), *file_sources("bitcoin", [path], moment))
    assert outcome.added == 2
    assert [(one.place, one.reason) for one in outcome.read[0].rejects] == [
        ("line 3", "line 4 of the same transaction is malformed"),
        ("line 4", "value_sat is not a number: 'x'"),
    ]


def test_bytes_that_are_no_text_cost_their_own_line(
    tmp_path: Path, store: Store, imports: Imports, moment: Moment
) -> None:
    path = tmp_path / "block.csv"
    path.write_bytes(
        b"\xef\xbb\xbf" + (HEADER + line(1)).encode() + b"\xff\xfe\n\n" + line(3).encode()
    )
    outcome = imports(store.chain("bitcoin"), *file_sources("bitcoin", [path], moment))
    assert outcome.added == 2
    assert [one.place for one in outcome.read[0].rejects] == ["line 3"]


def cut_text(path: Path) -> Path:
    # Its last field could be a whole number as well.
    path.write_text((HEADER + line(1) + line(2, value=123456))[:-3])
    return path


def cut_gzip(path: Path) -> Path:
    rows = "".join(line(number % 15 + 1, value=number**3) for number in range(5_000))
    packed = gzip.compress((HEADER + rows).encode())
    path = path.with_suffix(".csv.gz")
    path.write_bytes(packed[: len(packed) // 2])
    return path


def broken_gzip(path: Path) -> Path:
    path = cut_gzip(path)
    packed = bytearray(path.read_bytes())
    packed[len(packed) // 2 :] = bytes(len(packed) // 2)
    path.write_bytes(packed)
    return path


def cut_json(path: Path) -> Path:
    path = path.with_suffix(".json")
    row = f'{{"hash": "{hash_(1)}", "block_number": 1, "block_timestamp": 1, "inputs": [], '
    path.write_text(f'{row}"outputs": []}}\n{row}')
    return path


@pytest.mark.parametrize("cut", [cut_text, cut_gzip, broken_gzip, cut_json])
def test_of_a_file_that_is_cut_off_nothing_is_kept(
    tmp_path: Path,
    store: Store,
    imports: Imports,
    moment: Moment,
    monkeypatch: pytest.MonkeyPatch,
    cut: Callable[[Path], Path],
) -> None:
    monkeypatch.setattr("lbproto_compliance.sources.files.BATCH", 1_000)
    whole = tmp_path / "whole.csv"
    whole.write_text(HEADER + line(9))
    path = cut(tmp_path / "cut.csv")
    chain = store.chain("bitcoin")
    with pytest.raises(CutOff, match=r"cut off|is damaged") as refusal:
        imports(chain, *file_sources("bitcoin", [whole, path], moment))
    assert str(path) in str(refusal.value)
    assert store.chains() == []
    # The rest goes on without it.
    assert imports(chain, *file_sources("bitcoin", [whole], moment)).added == 1


def test_a_parquet_file_that_is_cut_off(tmp_path: Path, block_file: Path) -> None:
    path = tmp_path / "cut.parquet"
    content = block_file.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CutOff, match="is not a Parquet file, or not all of one"):
        file_sources("bitcoin", [path])
    middle = bytearray(content)
    middle[1000 : len(content) // 2] = bytes(len(content) // 2 - 1000)
    path.write_bytes(middle)
    with pytest.raises(CutOff, match="damaged"):
        list(RecordFile(path).records())


def test_a_line_without_end_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_LINE", 1 << 16)
    path = tmp_path / "long.csv"
    path.write_text(HEADER + "x" * (1 << 17))
    with pytest.raises(SourceError, match="line 2 is longer than any export's"):
        list(RecordFile(path).records())


def test_malformed_blocks_are_told(tmp_path: Path, store: Store, imports: Imports) -> None:
    blocks = tmp_path / "blocks.csv"
    blocks.write_text("number,hash,timestamp\n1,0x,soon\n")
    tokens = tmp_path / "tokens.csv"
    tokens.write_text(
        "token_address,from_address,to_address,value,transaction_hash,log_index,block_number\n"
        f"{ADA},{ADA},{ADA},1,0x{hash_(1)},0,1\n"
    )
    with pytest.raises(SourceError, match=r"blocks\.csv, line 2: timestamp is not a time: 'soon'"):
        imports(store.chain("ethereum"), *file_sources("ethereum", [blocks, tokens]))


def test_a_transaction_that_lacks_inputs_is_set_aside(
    tmp_path: Path, store: Store, imports: Imports
) -> None:
    path = tmp_path / "transactions.json"
    path.write_text(
        f'{{"hash": "{hash_(1)}", "block_number": 1, "block_timestamp": 1, "inputs": [], '
        '"outputs": [{"index": 0, "addresses": [], "value": 1}], "input_count": 2}\n'
        '{"hash": null}\n[]\n7\n{"a":\n'
    )
    outcome = imports(store.chain("bitcoin"), *file_sources("bitcoin", [path]))
    assert outcome.added == 0
    assert [one.reason for one in outcome.read[0].rejects] == [
        "inputs are 0, which is not input_count",
        "block_number is missing",
        *[UNPARTED] * 3,
    ]


def test_an_amount_that_has_lost_its_last_digits_is_refused() -> None:
    assert amount({"value": 2.0**53}, "value") == str(2**53)
    with pytest.raises(Malformed, match="no longer exact"):
        amount({"value": 2.0**60}, "value")


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"block_timestamp": '"0001-01-01T00:00:00+14:00"'}, "is not a time that a block was made"),
        ({"block_timestamp": '"9999-12-31T23:59:59-14:00"'}, "is not a time that a block was made"),
        ({"block_timestamp": '"1969-12-31T23:59:59"'}, "is not a time that a block was made"),
        ({"outputs": f'"{DEEP}"'}, "outputs are not JSON"),
        ({"outputs": DEEP}, UNPARTED),
    ],
)
def test_records_that_are_made_to_break_it_cost_themselves(
    tmp_path: Path, store: Store, imports: Imports, changes: dict[str, str], reason: str
) -> None:
    fields = {
        "hash": f'"{hash_(1)}"',
        "block_number": "1",
        "block_timestamp": "1",
        "inputs": "[]",
        "outputs": f'[{{"index": 0, "addresses": ["{SHOP}"], "value": 1}}]',
    }
    path = tmp_path / "transactions.json"
    path.write_text(
        "".join(
            "{" + ", ".join(f'"{name}": {value}' for name, value in record.items()) + "}\n"
            for record in (fields, {**fields, **changes})
        )
    )
    outcome = imports(store.chain("bitcoin"), *file_sources("bitcoin", [path]))
    (rejected,) = outcome.read[0].rejects
    assert (outcome.added, rejected.place) == (1, "line 2")
    assert reason in rejected.reason


_ANY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.datetimes()
    | st.text()
    | st.sampled_from([hash_(1), ADA, SHOP, "1", 1]),
    lambda some: (
        st.lists(some, max_size=3)
        | st.dictionaries(st.sampled_from(["index", "value", "addresses"]), some, max_size=3)
    ),
    max_leaves=5,
)
_NAMES = (
    *("hash", "transaction_hash", "block_number", "block_timestamp", "transaction_index"),
    *("inputs", "outputs", "value", "from_address", "to_address", "token_address", "log_index"),
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(_NAMES, _ANY)))
def test_records_are_rows_or_malformed_whatever_they_hold(record: dict[str, Any]) -> None:
    facts = Facts([], [])
    for translate in (
        bitcoin_transaction,
        lambda one: transaction(one, CHAINS["ethereum"], facts),
        lambda one: token_transfer(one, facts),
    ):
        with suppress(Malformed):
            translate(record)


@given(st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=50).map(str))
def test_quoted_fields_are_parted_as_the_standard_library_does(text: str) -> None:
    quoted = '"' + text.replace('"', '""') + '"'
    assert records._parted(f'a,{quoted},"",b') == ["a", text, "", "b"]
