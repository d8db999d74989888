from __future__ import annotations

import base64
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Protocol

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproto_query_worker.database import Database
from lbproto_query_worker.encoding import described, wrapped
from lbproto_query_worker.frames import Chunk, Open
from lbproto_query_worker.queries import Query


class Ask(Protocol):
    def __call__(self, sql: str, params: Any = (), **changes: Any) -> Any: ...


MOMENT = "2026-01-20 12:34:56.789123"
BIG = 2**53 + 1

MATRIX: list[tuple[str, str, str, Any]] = [
    ("true", "BOOLEAN", "boolean", True),
    ("(-128)::TINYINT", "TINYINT", "number", -128),
    ("32767::SMALLINT", "SMALLINT", "number", 32767),
    ("2147483647", "INTEGER", "number", 2147483647),
    ("255::UTINYINT", "UTINYINT", "number", 255),
    ("65535::USMALLINT", "USMALLINT", "number", 65535),
    ("4294967295::UINTEGER", "UINTEGER", "number", 4294967295),
    ("7::BIGINT", "BIGINT", "string", "7"),
    (f"{BIG}::UBIGINT", "UBIGINT", "string", str(BIG)),
    (f"{2**100}::HUGEINT", "HUGEINT", "string", str(2**100)),
    (f"{2**127}::UHUGEINT", "UHUGEINT", "string", str(2**127)),
    (f"'{2**200}'::BIGNUM", "BIGNUM", "string", str(2**200)),
    ("1.5::FLOAT", "FLOAT", "number", 1.5),
    ("0.1::DOUBLE", "DOUBLE", "number", 0.1),
    ("'NaN'::DOUBLE", "DOUBLE", "number", None),
    ("'-Infinity'::FLOAT", "FLOAT", "number", None),
    ("1.10::DECIMAL(4, 2)", "DECIMAL(4,2)", "string", "1.10"),
    (f"'{10**30}.5'::DECIMAL(38, 3)", "DECIMAL(38,3)", "string", f"{10**30}.500"),
    ("'a\"\\\u00e9\u4e2d\U0001f600\n'", "VARCHAR", "string", 'a"\\\u00e9\u4e2d\U0001f600\n'),
    ("chr(0)", "VARCHAR", "string", "\0"),
    ("'\\x00\\xFF'::BLOB", "BLOB", "string", "AP8="),
    ("'0101'::BIT", "BIT", "string", "0101"),
    ("DATE '2026-01-20'", "DATE", "string", "2026-01-20"),
    ("'infinity'::DATE", "DATE", "string", None),
    ("TIME '12:34:56.5'", "TIME", "string", "12:34:56.5"),
    ("'12:34:56+02'::TIMETZ", "TIME WITH TIME ZONE", "string", "12:34:56+02"),
    (f"TIMESTAMP '{MOMENT}'", "TIMESTAMP", "string", "2026-01-20T12:34:56.789Z"),
    (f"TIMESTAMP_S '{MOMENT}'", "TIMESTAMP_S", "string", "2026-01-20T12:34:57.000Z"),
    (f"TIMESTAMP_MS '{MOMENT}'", "TIMESTAMP_MS", "string", "2026-01-20T12:34:56.789Z"),
    (f"TIMESTAMP_NS '{MOMENT}'", "TIMESTAMP_NS", "string", "2026-01-20T12:34:56.789Z"),
    (
        f"TIMESTAMPTZ '{MOMENT}+02'",
        "TIMESTAMP WITH TIME ZONE",
        "string",
        "2026-01-20T10:34:56.789Z",
    ),
    ("'-infinity'::TIMESTAMP", "TIMESTAMP", "string", None),
    ("'infinity'::TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE", "string", None),
    ("INTERVAL 90 MINUTE", "INTERVAL", "string", "01:30:00"),
    (
        "'00000000-0000-4000-8000-000000000001'::UUID",
        "UUID",
        "string",
        "00000000-0000-4000-8000-000000000001",
    ),
    ("'b'::ENUM ('a', 'b')", "ENUM('a', 'b')", "string", "b"),
    ("'{\"a\": [1]}'::JSON", "JSON", "string", '{"a": [1]}'),
    ("'POINT(1 2)'::GEOMETRY", "GEOMETRY", "string", "POINT (1 2)"),
    ("NULL", '"NULL"', "string", None),
    ("[1, NULL]", "INTEGER[]", "array", [1, None]),
    ("[1.5, NULL]", "DECIMAL(2,1)[]", "array", ["1.5", None]),
    ("[[7::BIGINT], NULL]", "BIGINT[][]", "array", [["7"], None]),
    ("[1.5, 2.5]::DECIMAL(2, 1)[2]", "DECIMAL(2,1)[2]", "array", ["1.5", "2.5"]),
    ("[1, 2]::INTEGER[2]", "INTEGER[2]", "array", [1, 2]),
    (
        "{'a': 1, 'it''s': 2.5, 'c': {'d': ''::BLOB}}",
        'STRUCT(a INTEGER, "it\'s" DECIMAL(2,1), c STRUCT(d BLOB))',
        "object",
        {"a": 1, "it's": "2.5", "c": {"d": ""}},
    ),
    ("NULL::STRUCT(a INTEGER)", "STRUCT(a INTEGER)", "object", None),
    ("row(1, 2.5)", "TUPLE(INTEGER, DECIMAL(2,1))", "array", [1, "2.5"]),
    ("map {'a': 1.5}", "MAP(VARCHAR, DECIMAL(2,1))", "object", {"a": "1.5"}),
    ("map {1: [7::BIGINT]}", "MAP(INTEGER, BIGINT[])", "object", {"1": ["7"]}),
    ("map {}::MAP(INTEGER, INTEGER)", "MAP(INTEGER, INTEGER)", "object", {}),
    ("NULL::MAP(INTEGER, INTEGER)", "MAP(INTEGER, INTEGER)", "object", None),
    ("union_value(n := 7::BIGINT)", "UNION(n BIGINT)", "any", "7"),
    ("union_value(n := 1)::UNION(n INTEGER, t VARCHAR)", "UNION(n INTEGER, t VARCHAR)", "any", 1),
]


@pytest.mark.parametrize(("sql", "type_", "wire", "value"), MATRIX)
def test_types(ask: Ask, sql: str, type_: str, wire: str, value: Any) -> None:
    answer = ask(f"SELECT {sql} AS x")
    (column,) = answer.columns
    assert (column.name, column.wire) == ("x", wire)
    assert column.nullable or value is not None
    assert column.type == type_
    assert answer.rows == [[value]]


def test_every_type_that_duckdb_has(database: Database) -> None:
    """Three rows of all of them: the least, the greatest, and null."""
    sql = "FROM test_all_types()"  # which the guard lets nobody have
    cursor = database.cursor()
    relation = cursor.sql(sql)
    names, types = relation.columns, relation.types
    columns = described(names, types)
    rows = cursor.execute(wrapped(sql, columns, types, arrays=False)).fetchall()
    cursor.close()
    decoded = [msgspec.json.decode(row) for (row,) in rows]
    assert [list(row) for row in decoded] == [names] * 3
    assert set(decoded[2].values()) == {None}
    kinds: dict[str, Any] = {
        "boolean": bool,
        "number": (int, float),
        "string": str,
        "array": list,
        "object": dict,
        "any": object,
    }
    for column in columns:
        for row in decoded[:2]:
            value = row[column.name]
            assert value is None or isinstance(value, kinds[column.wire])


@pytest.mark.parametrize("arrays", [True, False])
@pytest.mark.parametrize("msgpack", [True, False])
def test_formats(database: Database, arrays: bool, msgpack: bool) -> None:
    said: list[Any] = []
    request = Open(
        id=1,
        sql="SELECT 1 AS a, 'x' AS b, 2 AS a, 3 AS a_2",
        params=[],
        arrays=arrays,
        msgpack=msgpack,
        seconds=60,
        patience=60,
        rows=10,
        row_bytes=1000,
        chunk_bytes=65536,
        window=4,
    )
    Query(request, said.append).run(database)
    (chunk,) = [each for each in said if isinstance(each, Chunk)]
    decode = msgspec.msgpack.decode if msgpack else msgspec.json.decode
    fields = {"a": 1, "b": "x", "a_2": 2, "a_2_2": 3}
    assert decode(chunk.data) == [list(fields.values()) if arrays else fields]


_NUMBERS = st.integers(-(2**31), 2**31 - 1)
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31))  # noqa: DTZ001 - DuckDB's have none


@settings(max_examples=50)
@given(
    number=_NUMBERS,
    large=st.integers(-(2**63), 2**63 - 1),
    real=st.floats(width=64),
    exact=st.decimals(-(10**13), 10**13, places=4),
    text=_TEXT,
    data=st.binary(max_size=30),
    moment=_MOMENTS,
    day=st.dates(date(1, 1, 1)),
    items=st.lists(_TEXT, min_size=1, max_size=3),
)
def test_values_come_back(
    ask: Ask,
    number: int,
    large: int,
    real: float,
    exact: Decimal,
    text: str,
    data: bytes,
    moment: datetime,
    day: date,
    items: list[str],
) -> None:
    ((*values, list_),) = ask(
        "SELECT $1::INTEGER, $2::BIGINT, $3::DOUBLE, $4::DECIMAL(18, 4), $5, $6::BLOB,"
        " $7::TIMESTAMP, $8::DATE, $9",
        [number, large, real, str(exact), text, data, moment, day, items],
    ).rows
    assert values[0] == number
    assert values[1] == str(large)
    assert values[2] == (real if math.isfinite(real) else None)
    assert Decimal(values[3]) == exact
    assert values[4] == text
    assert base64.b64decode(values[5]) == data
    shown = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    assert datetime.fromisoformat(values[6]) == shown
    assert date.fromisoformat(values[7]) == day
    assert list_ == items
