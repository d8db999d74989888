"""The archive's file, used as its one thread uses it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from functools import reduce
from itertools import count
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproto import UsageError
from lbproto_market import RESOLUTIONS
from lbproto_market.archive import Seen
from lbproto_market.backlog import Batch, Key
from lbproto_market.bars import Bar, Mark, merged
from lbproto_market.duckdb_tables import Tables, table_of

_SECOND = RESOLUTIONS["1s"]
_DAY = 86_400_000
_FOREVER = 1 << 60


def _tables(path: Path, *, keep: dict[str, int] | None = None, remember: int = _FOREVER) -> Tables:
    return Tables(str(path / "candles.duckdb"), keep or {}, remember, 256)


def _bar(
    opening: int, price: str = "7", volume: str = "1", venue: str = "v", revision: int = 0
) -> Bar:
    exact = Decimal(price)
    mark = Mark(opening, 5, venue, exact)
    return Bar(opening, mark, mark, exact, exact, Decimal(volume), 1, True, revision)


def _batch(*bars: Bar, symbol: str = "X", resolution: str = "1s", now_ms: int = 0) -> Batch:
    keys = {Key(symbol, bar.first.venue, resolution, bar.opening): bar for bar in bars}
    return Batch({symbol: now_ms}, keys, {})


def _read(tables: Tables, *venues: str, symbol: str = "X", limit: int = 1001) -> list[Bar]:
    return tables.read(symbol, venues or ("v",), _SECOND, 0, _FOREVER, limit)


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[Tables]:
    tables = _tables(tmp_path)
    yield tables
    tables.close()


_SMALLEST, _BIGGEST = "0.000000000000000001", "9999999999999999999.999999999999999999"


@pytest.mark.parametrize("number", [_SMALLEST, _BIGGEST, "1E+18", "1644.91", "0.1"])
def test_numbers_come_back_exactly(tables: Tables, number: str) -> None:
    written = _bar(1000, number, number)
    assert tables.commit(_batch(written)) == 0
    assert _read(tables) == [written]


def test_a_volume_has_more_digits_than_any_trade(tables: Tables) -> None:
    volume = "1" * 35 + "." + "2" * 18
    bars = [_bar(1000, volume=volume, venue=venue) for venue in "vw"]
    tables.commit(_batch(*bars))
    assert [bar.volume for bar in _read(tables, "v", "w")] == [Decimal("2" * 35 + "." + "4" * 18)]


@pytest.mark.parametrize("number", ["1E+20", "1E-19", "NaN", "Infinity"])
def test_a_price_that_would_not_fit_is_left_out_and_the_others_are_kept(
    tables: Tables, number: str
) -> None:
    assert tables.commit(_batch(_bar(1000, number), _bar(2000))) == 1
    assert _read(tables) == [_bar(2000)]


@pytest.mark.parametrize("volume", ["1E+36", "1E-19", "NaN"])
def test_a_volume_that_would_not_fit_is_left_out(tables: Tables, volume: str) -> None:
    assert tables.commit(_batch(_bar(1000, volume=volume))) == 1


_numbers = st.decimals(Decimal("1E-18"), Decimal("1E18"), places=18) | st.decimals(
    Decimal("0.01"), Decimal(99), places=2
)


@st.composite
def _charts(draw: st.DrawFn) -> dict[tuple[str, int], Bar]:
    charts = {}
    seconds = st.lists(st.integers(0, 4), unique=True, max_size=4)
    for venue in "abc":
        for second in draw(seconds):
            times = sorted(draw(st.lists(st.integers(0, 3), min_size=2, max_size=2)))
            first, last = (
                Mark(second * 1000 + ms, draw(st.integers(0, 2)), venue, draw(_numbers))
                for ms in times
            )
            high, low, volume = draw(_numbers), draw(_numbers), draw(_numbers)
            trades, revision = draw(st.integers(1, 9)), draw(st.integers(0, 3))
            bar = Bar(second * 1000, first, last, high, low, volume, trades, True, revision)
            charts[venue, second] = bar
    return charts


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tables]:
    tables = _tables(tmp_path_factory.mktemp("shared"))
    yield tables
    tables.close()


_symbols = count()


@settings(max_examples=60)
@given(charts=_charts(), venues=st.sets(st.sampled_from("abc")), limit=st.integers(1, 5))
def test_any_venues_are_put_together_as_in_memory(
    shared: Tables, charts: dict[tuple[str, int], Bar], venues: set[str], limit: int
) -> None:
    symbol = f"S{next(_symbols)}"
    shared.commit(_batch(*charts.values(), symbol=symbol))
    expected = []
    for second in range(5):
        bars = [charts[venue, second] for venue in venues if (venue, second) in charts]
        if bars:
            expected.append(reduce(merged, bars))
    read = shared.read(symbol, sorted(venues), _SECOND, 0, _FOREVER, limit)
    assert read == expected[-limit:]


def test_a_range_has_its_beginning_and_not_its_end(tables: Tables) -> None:
    tables.commit(_batch(*(_bar(second * 1000) for second in range(5))))
    assert [bar.opening for bar in tables.read("X", ["v"], _SECOND, 1000, 3000, 9)] == [1000, 2000]
    assert tables.read("X", ["v"], _SECOND, 1001, 2000, 9) == []


def test_a_candle_said_again_replaces_what_was_known(tables: Tables) -> None:
    bars = [_bar(second * 1000) for second in range(3)]
    for _ in range(2):
        tables.commit(_batch(*bars))
    tables.commit(_batch(amended := _bar(1000, "9", revision=1)))
    assert _read(tables) == [bars[0], amended, bars[2]]


@pytest.mark.parametrize("name", RESOLUTIONS)
def test_every_resolution_is_a_chart_of_its_own(tables: Tables, name: str) -> None:
    tables.commit(_batch(bar := _bar(0), resolution=name))
    for other, resolution in RESOLUTIONS.items():
        read = tables.read("X", ["v"], resolution, 0, _FOREVER, 9)
        assert read == ([bar] if other == name else [])


def test_an_open_candle_is_for_a_restart_only(tables: Tables) -> None:
    mark = Mark(1500, 5, "v", Decimal(7))
    open_ = Bar(1000, mark, mark, Decimal(7), Decimal(7), Decimal(1), 1, closed=False)
    tables.commit(_batch(_bar(0), open_, now_ms=1600))
    assert _read(tables) == [_bar(0)]
    seconds = [bar for _, name, bar in tables.resume("X", 10).bars if name == "1s"]
    assert seconds == [_bar(0), open_]
    tables.commit(_batch(_bar(1000), now_ms=2000))
    assert _read(tables) == [_bar(0), _bar(1000)]


@pytest.mark.parametrize(
    "name",
    ["'; DROP TABLE seconds; --", "../../etc/passwd", 'a"b', "\x00", "é" * 1000, "日本", "", "$1"],
)
def test_names_are_no_more_than_names(tables: Tables, name: str) -> None:
    tables.commit(_batch(bar := _bar(1000, venue=name), symbol=name))
    assert _read(tables, name, symbol=name) == [bar]
    assert _read(tables, "v", symbol=name) == []
    assert _read(tables, name, symbol="X") == []


def test_a_name_that_is_no_text_is_left_out_and_the_others_are_kept(tables: Tables) -> None:
    batch = _batch(_bar(1000), _bar(1000, venue="\udc80"))
    batch.moments["\ud800"] = 5
    batch.bars[Key("\ud800", "v", "1s", 0)] = _bar(0)
    batch.ids["\ud800", "v", 0] = [1]
    assert tables.commit(batch) == 2
    assert _read(tables, "v", "\udc80") == [_bar(1000)]
    assert _read(tables, "v", symbol="\ud800") == []
    assert tables.resume("\ud800", 1) == (0, [], {})


def test_what_is_kept_is_there_after_closing(tmp_path: Path) -> None:
    first, second = _tables(tmp_path), _tables(tmp_path)
    first.commit(_batch(_bar(1000), now_ms=2500))
    first.close()
    first.close()
    second.commit(_batch(_bar(1000, revision=1), _bar(2000)))
    assert _read(second) == [_bar(1000, revision=1), _bar(2000)]
    assert second.resume("X", 1).now_ms == 2500
    second.close()


def test_a_market_goes_on_with_its_newest(tables: Tables) -> None:
    seconds = [_bar(second * 1000) for second in range(9)]
    tables.commit(_batch(*seconds, now_ms=9500))
    tables.commit(_batch(_bar(0), resolution="1d", now_ms=9000))
    now_ms, bars, seen = tables.resume("X", 2)
    assert now_ms == 9500
    assert [settled for settled in bars if settled.bar.closed] == [
        *(("v", "1s", bar) for bar in seconds[-2:]),
        ("v", "1d", _bar(0)),
    ]
    assert seen == {}
    assert tables.resume("Y", 2) == (0, [], {})


def test_trades_are_remembered_for_a_while_and_then_taken_for_counted(tmp_path: Path) -> None:
    tables = _tables(tmp_path, remember=5000)
    for second in range(9):
        batch = _batch(_bar(second * 1000), now_ms=second * 1000)
        batch.ids["X", "v", second * 1000] = [second * 10 + 3, second * 10]
        batch.ids["X", "w", second * 1000] = [second]
        tables.commit(batch)
    assert tables.resume("X", 1).seen["w"] == Seen(0, list(range(9)))
    for _ in range(2):  # the second time there is nothing more to forget
        tables._tidied = float("-inf")
        tables.commit(_batch(_bar(0)))
        seen = tables.resume("X", 1).seen
        assert seen["w"] == Seen(3, [3, 4, 5, 6, 7, 8])
        assert seen["v"] == Seen(24, [30, 33, 40, 43, 50, 53, 60, 63, 70, 73, 80, 83])
    tables._tidied = float("-inf")
    tables.commit(_batch(_bar(0), now_ms=99_000))
    assert tables.resume("X", 1).seen == {"v": Seen(84, []), "w": Seen(9, [])}
    tables.close()


def test_fine_candles_are_forgotten_first_and_coarse_ones_never(tmp_path: Path) -> None:
    tables = _tables(tmp_path, keep={"seconds": _DAY, "minutes": 10 * _DAY})
    for now in (0, 5 * _DAY, 20 * _DAY, 40 * _DAY):
        for name in RESOLUTIONS:
            tables._tidied = float("-inf")
            tables.commit(_batch(_bar(now), resolution=name, now_ms=now))
            tables.commit(_batch(_bar(0), resolution=name, symbol="old", now_ms=0))
    days = {
        name: [
            bar.opening // _DAY for bar in tables.read("X", ["v"], resolution, 0, _FOREVER, 1001)
        ]
        for name, resolution in RESOLUTIONS.items()
    }
    assert days["1s"] == days["15s"] == days["4h"] == [40]
    assert days["1d"] == days["1w"] == days["1M"] == [0, 5, 20, 40]
    assert len(_read(tables, symbol="old")) == 1  # by its own time it is as new as ever
    tables.close()


def test_a_market_ahead_of_the_clock_forgets_nothing_for_that(tmp_path: Path) -> None:
    tables = _tables(tmp_path, keep={"seconds": _DAY})
    now = int(time.time()) * 1000
    tables.commit(_batch(_bar(now)))
    tables._tidied = float("-inf")
    tables.commit(_batch(_bar(now + 1000), now_ms=now + 1000 * _DAY))
    assert len(_read(tables)) == 2
    tables.close()


def test_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    tables = _tables(tmp_path, keep={"seconds": 1_800_000}, remember=1000)
    sizes = []
    for begin in range(0, 12 * 1800, 1800):
        bars = [_bar(second * 1000, f"{second % 97}.25") for second in range(begin, begin + 1800)]
        tables._tidied = float("-inf")
        tables.commit(_batch(*bars, now_ms=bars[-1].opening))
        tables.close()
        sizes.append((tmp_path / "candles.duckdb").stat().st_size)
    assert len(_read(tables, limit=10_000)) == 1801
    assert max(sizes[6:]) <= max(sizes[:6])
    tables.close()


def test_a_year_of_seconds_has_the_tables_it_should() -> None:
    assert {name: table_of(cut) for name, cut in RESOLUTIONS.items()} == {
        "1s": "seconds", "5s": "seconds", "15s": "seconds",
        "1m": "minutes", "5m": "minutes", "15m": "minutes", "30m": "minutes", "1h": "minutes",
        "4h": "minutes", "1d": "days", "1w": "days", "1M": "days",
    }  # fmt: skip


def test_a_file_is_open_once_in_a_process(tmp_path: Path, tables: Tables) -> None:
    tables.open()
    with pytest.raises(UsageError, match=r"in use by this process: stop that one, or give each"):
        _tables(tmp_path).open()
    tables.close()
    other = _tables(tmp_path)
    other.open()
    other.close()


_HOLDING = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_a_file_is_open_in_one_process(tmp_path: Path, tables: Tables) -> None:
    tables.open()
    tables.close()
    path = str(tmp_path / "candles.duckdb")
    command = [sys.executable, "-c", _HOLDING, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match=r"in use by another process: stop that one, or give"):
            tables.open()
        other.communicate()
    tables.open()  # and is not taken for open because of that


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    tables = _tables(tmp_path)
    path = tmp_path / "candles.duckdb"
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(UsageError, match=r"cannot be opened: .*not a valid DuckDB database"):
        tables.open()
    path.unlink()
    path.mkdir()
    with pytest.raises(UsageError, match="cannot be opened: it is not a file"):
        tables.open()
    with pytest.raises(UsageError, match="cannot be opened"):
        _tables(tmp_path / "nowhere").open()


@pytest.mark.parametrize(
    ("statement", "match"),
    [
        (
            "CREATE TABLE orders (id INTEGER)",
            "is not an archive of candles; it holds something else",
        ),
        (
            "CREATE TABLE archive AS SELECT 'mine' AS owner, 1 AS format",
            "is not an archive of candles; it holds something else",
        ),
        (
            "CREATE TABLE archive AS SELECT 'lbproto-market archive' AS owner, 2 AS format",
            "was written by a later version of lbproto-market: install that",
        ),
    ],
)
def test_another_database_is_refused_and_left_as_it_is(
    tmp_path: Path, statement: str, match: str
) -> None:
    path = tmp_path / "candles.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute(statement)
    before = path.read_bytes()
    with pytest.raises(UsageError, match=match):
        _tables(tmp_path).open()
    assert path.read_bytes() == before


def test_without_duckdb_the_extra_is_named(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(UsageError, match=r"install the extra, lbproto-market\[parquet\]"):
        tables.open()
