from __future__ import annotations

import gzip
import logging
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from lbproto import UsageError
from lbproto_market import Trade
from lbproto_market.recordings import Recording

_HEADER = "timestamp_ms,id,side,price,amount\n"

Write = Callable[[str], Path]


def _read(path: Path) -> list[Trade]:
    return [trade for batch in Recording(path, "binance").batches() for trade in batch]


def test_the_bundled_trades(bundle: Path, recorded_trades: list[Trade]) -> None:
    recording = Recording(bundle, "binance")
    assert [trade for batch in recording.batches() for trade in batch] == recorded_trades
    assert len(recorded_trades) == 1000
    assert recording.malformed == 0


def test_plain_and_gzipped_are_the_same(
    bundle: Path, tmp_path: Path, recorded_trades: list[Trade]
) -> None:
    plain = tmp_path / "trades.csv"
    plain.write_bytes(gzip.decompress(bundle.read_bytes()))
    assert _read(plain) == recorded_trades


def test_a_long_recording_comes_in_batches(write: Write) -> None:
    path = write(_HEADER + "".join(f"{number},{number},buy,1,1\n" for number in range(2500)))
    batches = list(Recording(path, "binance").batches())
    assert [len(batch) for batch in batches] == [1000, 1000, 500]


def test_columns_go_by_their_names(write: Write) -> None:
    path = write("\ufeffamount,note,price,id,timestamp_ms\r\n2.5,x,10,7,1000\r\n\r\n")
    assert _read(path) == [Trade(1000, 7, "binance", Decimal(10), Decimal("2.5"))]


def test_a_side_that_is_none_is_untold(write: Write) -> None:
    path = write(_HEADER + "1000,7,sell,10,1\n1000,8,b,10,1\n1000,9,,10,1\n")
    assert [trade.side for trade in _read(path)] == ["sell", "", ""]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1000,8,buy,abc,1", "not four numbers"),
        ("1000,8,buy,,1", "not four numbers"),
        ("1000.5,8,buy,10,1", "not four numbers"),
        ("1000,x,buy,10,1", "not four numbers"),
        ("-1,8,buy,10,1", "outside the years"),
        ("1000000000000000,8,buy,10,1", "outside the years"),
        ("1000,8,buy,0,1", "price 0 is not a number above 0"),
        ("1000,8,buy,-1,1", "price -1"),
        ("1000,8,buy,NaN,1", "price NaN"),
        ("1000,8,buy,Infinity,1", "price Infinity"),
        ("1000,8,buy,1e400,1", "price 1e400"),
        ("1000,8,buy,10,-1", "amount -1 is not a number of at least 0"),
        ("1000,8,buy,10,1e-19", "amount 1e-19"),
        ("1000,8,buy,10", "cannot be parted"),
        ("1000,8,buy,1,667.3,1", "cannot be parted"),
        ('1000,8,"buy,10,1', "cannot be parted"),
        ("\ufffd", "cannot be parted"),
    ],
)
def test_a_malformed_row_is_left_out_and_told(
    write: Write, caplog: pytest.LogCaptureFixture, row: str, reason: str
) -> None:
    path = write(_HEADER + "1000,7,buy,10,1\n" + row + "\n" + row + "\n1001,9,sell,11,0\n")
    recording = Recording(path, "binance")
    with caplog.at_level(logging.WARNING):
        trades = [trade for batch in recording.batches() for trade in batch]
        assert list(recording.batches()) == [trades]  # once more tells no more
    assert [trade.id for trade in trades] == [7, 9]
    assert recording.malformed == 2
    first, total = (record.getMessage() for record in caplog.records)
    assert "row 3 left out" in first
    assert reason in first
    assert "2 rows left out: not trades" in total


def test_a_file_without_the_columns_is_refused(write: Write) -> None:
    with pytest.raises(
        UsageError, match="not a CSV file with the columns timestamp_ms, id, price, amount"
    ):
        _read(write("timestamp,id,side,price,amount\n"))
    with pytest.raises(UsageError, match="columns"):
        _read(write(""))


@pytest.mark.parametrize("name", ["nothing.csv", "nothing.csv.gz", "nothing.parquet"])
def test_a_missing_file_is_an_oserror(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError):
        _read(tmp_path / name)


def test_a_cut_off_file_is_an_error(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(bundle.read_bytes()[:5000])
    with pytest.raises(EOFError):
        _read(path)


@pytest.mark.parametrize("price", ["DOUBLE", "DECIMAL(18, 8)", "VARCHAR"])
def test_parquet(bundle: Path, tmp_path: Path, recorded_trades: list[Trade], price: str) -> None:
    path = tmp_path / "trades.parquet"
    types = {"price": price, "amount": "DECIMAL(18, 8)"}
    with duckdb.connect() as connection:
        trades = connection.read_csv(str(bundle), dtype=types)
        trades.project("price, side, amount, id, timestamp_ms").write_parquet(str(path))
    assert _read(path) == recorded_trades


def test_parquet_with_gaps_or_without_columns(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gaps, other = tmp_path / "gaps.parquet", tmp_path / "other.parquet"
    with duckdb.connect() as connection:
        rows = "(VALUES (1, 1, 2.5, 1), (2, 2, NULL, 1)) t (timestamp_ms, id, price, amount)"
        connection.from_query("FROM " + rows).write_parquet(str(gaps))
        connection.from_query("SELECT 1 AS timestamp_ms").write_parquet(str(other))
    assert _read(gaps) == [Trade(1, 1, "binance", Decimal("2.5"), Decimal(1))]
    assert "row 2 left out" in caplog.text
    with pytest.raises(UsageError, match="not a Parquet file with the columns"):
        _read(other)


def test_what_only_is_called_parquet(tmp_path: Path) -> None:
    path = tmp_path / "trades.parquet"
    path.write_text(_HEADER)
    with pytest.raises(UsageError, match="not a Parquet file"):
        _read(path)


def test_parquet_without_the_extra_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(UsageError, match=r"lbproto-market\[parquet\]"):
        _read(tmp_path / "trades.parquet")
