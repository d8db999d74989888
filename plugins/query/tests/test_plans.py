"""What is known of a query before it runs: which columns have no null, and how much it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproto_query_worker.database import Database
from lbproto_query_worker.frames import Chunk, Described, FromWorker, Open, Refused
from lbproto_query_worker.plans import Plans
from lbproto_query_worker.queries import Query

ROWS = """
SELECT id::INTEGER AS id, id // 4 AS part, CASE WHEN id % 3 > 0 THEN id END AS holey,
    CASE WHEN id % 5 > 0 THEN 'word ' || id END AS word, 'name ' || id AS name,
    CASE WHEN id = 7 THEN 'NaN' ELSE id::VARCHAR END::DOUBLE AS real, id * 0.25 AS exact,
    DATE '2026-01-01' + id::INTEGER AS day, TIMESTAMP '2026-01-01' + to_hours(id) AS moment,
    CASE WHEN id = 3 THEN 'infinity' ELSE '2026-01-01' END::TIMESTAMP AS someday,
    [id, NULL] AS list, {'a': id, 'b': NULL} AS struct
FROM range(20) t(id)
"""


@pytest.fixture(scope="module")
def holes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A table of each kind of file, with and without nulls, NaN and infinities."""
    path = tmp_path_factory.mktemp("holes")
    with duckdb.connect(path / "kept.duckdb") as connection:
        rows = connection.sql(ROWS)
        rows.write_parquet(f"{path}/data.parquet")
        rows.select("id", "holey").write_csv(f"{path}/text.csv")
        connection.execute("CREATE TABLE kept (id INTEGER NOT NULL, holey INTEGER)")
        rows.select("id", "holey").insert_into("kept")
    files = [str(each) for each in sorted(path.iterdir())]
    database = Database(files, tmp_path_factory.mktemp("worker"), 256 * 1024 * 1024, 2)
    yield database
    database.close()


def asked(sql: str, params: Sequence[Any] = (), rows: int = 1_000_000) -> Open:
    """A query that has time and room."""
    return Open(
        id=1,
        sql=sql,
        params=list(params),
        arrays=True,
        msgpack=False,
        seconds=60,
        patience=60,
        rows=rows,
        row_bytes=100_000,
        chunk_bytes=65536,
        window=1000,
    )


def run(database: Database, sql: str, params: Sequence[Any] = ()) -> list[FromWorker]:
    """All that a query's thread says."""
    said: list[FromWorker] = []
    Query(asked(sql, params), said.append).run(database)
    return said


def never_null(said: list[FromWorker]) -> list[bool]:
    """Which columns are said to have no null; the rows are looked at."""
    (described,) = [each for each in said if isinstance(each, Described)]
    sure = [not column.nullable for column in described.columns]
    for chunk in said:
        for row in json.loads(chunk.data) if isinstance(chunk, Chunk) else ():
            assert not any(value is None and known for value, known in zip(row, sure, strict=True))
    return sure


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT id, holey, word, name FROM data", [1, 0, 0, 1]),
        ("SELECT real, exact, day, moment, someday FROM data", [0, 1, 1, 1, 0]),
        ("SELECT list, struct, {'a': holey} FROM data", [0, 0, 1]),
        ("SELECT id, holey FROM text", [1, 0]),
        ("SELECT id, holey FROM kept", [1, 0]),
        ("SELECT 1, 'x', true, NULL, 1.5::DOUBLE, [NULL]", [1, 1, 1, 0, 0, 1]),
        ("SELECT $1, $2, union_value(n := NULL)", [1, 0, 0]),
        ("SELECT count(*), COUNT(holey), sum(id), max(id) FROM data", [1, 1, 0, 0]),
        ("SELECT part, count(*) AS n FROM data GROUP BY part ORDER BY n", [1, 1]),
        ("SELECT part, count(*) FROM data GROUP BY ROLLUP (part)", [0, 1]),
        ("SELECT count(*) OVER (), lag(id) OVER () FROM data", [1, 0]),
        ("SELECT * EXCLUDE (id), count(*) OVER (), lag(id) OVER () FROM kept", [0, 0, 0]),
        ("SELECT unnest({'a': NULL, 'b': 1}), count(*) OVER () FROM kept", [0, 1, 0]),
        ("SELECT a.id, b.id FROM data a LEFT JOIN data b ON a.id = b.id + 5", [1, 0]),
        ("SELECT a.id, b.id FROM data a FULL JOIN data b ON a.id = b.id + 5", [0, 0]),
        ("SELECT a.id, b.id FROM data a JOIN data b ON a.id = b.id + 5", [1, 1]),
        ("SELECT a.id, b.holey FROM data a POSITIONAL JOIN (FROM data LIMIT 3) b", [0, 0]),
        ("SELECT holey FROM data WHERE holey IS NOT NULL", [1]),
        ("SELECT id / 0, id // 0, try_cast(name AS INTEGER), [1][id] FROM data", [0, 0, 0, 0]),
        ("SELECT (SELECT id FROM data WHERE id < 0), nullif(id, id) FROM data", [0, 0]),
        ("SELECT id FROM data UNION ALL SELECT NULL", [0]),
        ("SELECT id AS \"false\", holey AS \"false\" FROM data", [1, 0]),
        ("SELECT id FROM data WHERE false", [0]),
    ],
)  # fmt: skip
def test_columns_that_are_never_null(holes: Database, sql: str, expected: list[int]) -> None:
    params = [1, None] if "$2" in sql else []
    assert never_null(run(holes, sql, params)) == list(map(bool, expected))


@pytest.mark.parametrize(
    "growing",
    [
        ["SELECT 1", "FROM data", "FROM data a, data b", "FROM data a, data b, data c"],
        [f"FROM range({10**n})" for n in range(3, 15, 2)],
        [f"FROM range(100000000) LIMIT {10**n}" for n in range(1, 6)],
        [f"FROM range({10**n}) a JOIN range(99) b ON a.range < b.range" for n in (3, 6)],
        ["SELECT range AS x FROM range(9999) LIMIT 1", "FROM range(9999) ORDER BY 1 LIMIT 1"],
    ],
    ids=["tables", "rows", "limit", "pairs", "blocking"],
)
def test_the_more_the_more_work(holes: Database, growing: list[str]) -> None:
    works = []
    for sql in growing:
        with holes.cursor() as cursor:
            works.append(holes.plans.find(cursor, asked(sql, rows=10**15)).work)
    assert works == sorted(set(works))


def test_rows_that_nobody_gets_are_no_work(holes: Database) -> None:
    with holes.cursor() as cursor:
        few, many = (
            holes.plans.find(cursor, asked("FROM range(1000000000)", rows=rows)).work
            for rows in (100, 10_000)
        )
    assert few * 100 == many


def test_a_plan_is_made_once(holes: Database) -> None:
    with holes.cursor() as cursor:
        plan = holes.plans.find(cursor, asked("SELECT $1 AS x", [1]))
        assert holes.plans.find(cursor, asked("SELECT $1 AS x", [1])) is plan
        kinds = [
            holes.plans.find(cursor, asked("SELECT $1 AS x", [value])).columns[0].type
            for value in (1, True, 1.0, "1", [1])
        ]
        assert len(set(kinds)) == 5
        plans = Plans(frozenset(), most=1)
        for sql in ("SELECT 1", "SELECT 2", "SELECT 1"):
            assert plans.find(cursor, asked(sql)) is plans.find(cursor, asked(sql))
        for once in ("SELECT 1 --" + "x" * 20_000, "SELECT now()", "SELECT 'Today'::DATE"):
            assert plans.find(cursor, asked(once)) is not plans.find(cursor, asked(once))


_COLUMNS = ["id", "part", "holey", "word", "name", "real", "exact", "day", "moment", "someday"]
_VALUES = """
X | upper(X::VARCHAR) | nullif(X, Y) | coalesce(X, Y) | max(X) OVER () | [X] | {'a': X} | (X, Y)
count(X) OVER (PARTITION BY Y) | lag(X) OVER (ORDER BY Y) | first(X) OVER () | greatest(X, Y)
CASE WHEN Y IS NULL THEN X END | (SELECT max(X) WHERE part < 0) | try_cast(X::VARCHAR AS INTEGER)
X IS NULL | X::VARCHAR = 'x' | [X][id] | list_extract([X, Y], 2) | X::VARCHAR || Y | map {X: Y}
string_split(X::VARCHAR, ' ')[2] | any_value(X) FILTER (id < 0) OVER () | to_json(X) | X > Y
"""
_SOURCES = """
data | (FROM data WHERE id > 9) | (FROM data LIMIT 5) | (FROM data ORDER BY word DESC LIMIT 7)
(SELECT * REPLACE (holey AS id) FROM data) | (FROM data UNION ALL BY NAME SELECT 1 AS id)
(FROM data WHERE word IS NOT NULL) | (SELECT d.* FROM text t LEFT JOIN data d ON d.id = t.holey)
(SELECT d.* FROM data d RIGHT JOIN kept k ON d.holey = k.id + 5) | (SELECT DISTINCT * FROM data)
(SELECT d.* FROM data d FULL JOIN kept k ON d.id = k.holey) | (FROM data WHERE holey > 5 OR id = 1)
(SELECT d.* FROM kept k ASOF LEFT JOIN data d ON k.holey >= d.id)
(SELECT d.* FROM kept k LEFT JOIN LATERAL (FROM data x WHERE x.id = k.holey) d ON true)
"""


def _of(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from(
        [each.strip() for each in text.replace("\n", "|").split("|") if each.strip()]
    )


@settings(max_examples=150)
@given(data=st.data(), source=_of(_SOURCES), width=st.integers(1, 4))
def test_what_is_said_to_be_never_null_is_not(
    holes: Database, data: Any, source: str, width: int
) -> None:
    values = []
    for _ in range(width):
        names = data.draw(st.lists(st.sampled_from(_COLUMNS), min_size=2, max_size=2))
        values.append(data.draw(_of(_VALUES)).replace("X", names[0]).replace("Y", names[1]))
    said = run(holes, f"SELECT {', '.join(values)} FROM {source} AS s")  # noqa: S608 - of ours
    if not isinstance(said[-1], Refused):  # its types do not fit
        never_null(said)
