from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lbproto_query_worker.database import Database
from lbproto_query_worker.functions import FUNCTIONS, TABLE_FUNCTIONS

# Places for an expression, for a table function and for a table.
EXPRESSIONS = """
SELECT @
SELECT 1 WHERE @ = '1'
SELECT 1 GROUP BY @
SELECT 1 HAVING @ = '1'
SELECT 1 ORDER BY @
SELECT sum(1) FILTER (@ = '1')
SELECT sum(1 ORDER BY @)
SELECT DISTINCT ON (@) 1
SELECT [@]
SELECT sum(1) OVER (PARTITION BY @)
SELECT sum(1) OVER (ORDER BY @)
SELECT {'a': @}
SELECT -@
SELECT lag(1, 1, @) OVER ()
SELECT sum(1) OVER w WINDOW w AS (ORDER BY @)
SELECT (@)::VARCHAR
SELECT CASE @ WHEN 1 THEN 1 END
SELECT CASE WHEN true THEN @ END
SELECT 1 IN (@)
SELECT (@, 1)
SELECT 1 LIMIT length(@)
SELECT 1 OFFSET length(@)
SELECT [1][length(@)]
SELECT [1][@:2]
VALUES (@)
SELECT x.a FROM (SELECT @ AS a) x
SELECT (SELECT @)
SELECT 1 UNION SELECT @
FROM range(length(@))
SELECT 1 QUALIFY @ = '1'
SELECT * REPLACE (@ AS id) FROM people
SELECT try(@)
SELECT @ COLLATE nocase
SELECT [x || @ FOR x IN ['a'] IF x = @]
SELECT 1 FROM people a JOIN people b ON @ = '1'
FROM people PIVOT (max(@) FOR id IN (1))
SELECT EXISTS (SELECT @)
WITH a AS (SELECT @) FROM a
SELECT list_reduce([1], lambda a, b: @)
SELECT 'a' LIKE @
SELECT 1 BETWEEN @ AND 2
SELECT NOT @
WITH RECURSIVE a AS (SELECT 1 UNION SELECT @ FROM a) FROM a
SELECT @ IS NULL
SELECT '' || @
SELECT max(COLUMNS(lambda c: c = @)) FROM people
SELECT coalesce(@, 1)
SELECT unnest([@])
SELECT extract(year FROM @::DATE)
SELECT (@).upper()
SELECT struct_pack(a := @)
SELECT f'x' || @
"""
TABLES = """
FROM @
SELECT 1 FROM people, @
FROM people JOIN @ ON true
FROM people LEFT JOIN @ ON true
SELECT (FROM @ LIMIT 1)
SELECT 1 IN (SELECT 1 FROM @)
SELECT EXISTS (FROM @)
FROM (FROM @)
WITH a AS (FROM @) SELECT 1
SELECT 1 UNION ALL SELECT 2 FROM @
SELECT 1 WHERE 1 = ANY (SELECT 1 FROM @)
FROM people, LATERAL (SELECT 1 FROM @)
FROM @ PIVOT (count(*) FOR a IN (1))
FROM people POSITIONAL JOIN @
WITH RECURSIVE a AS (SELECT 1 UNION SELECT 1 FROM @) SELECT 1
FROM @ UNPIVOT (v FOR n IN (a))
SELECT 1 FROM people SEMI JOIN @ ON true
FROM @ TABLESAMPLE 10%
SELECT ARRAY(SELECT 1 FROM @)
WITH a AS MATERIALIZED (FROM @) SELECT 1
SELECT 1 LIMIT (SELECT 1 FROM @)
TABLE @
"""


@pytest.mark.parametrize(
    ("places", "inside", "code"),
    [
        (EXPRESSIONS, "version()", "UNAUTHORIZED"),
        (EXPRESSIONS, "(FROM read_text('/etc/passwd'))", "UNAUTHORIZED"),
        (EXPRESSIONS, "(SELECT 1 FROM duckdb_logs)", "NOT_FOUND"),
        (TABLES, "read_text('/etc/passwd')", "UNAUTHORIZED"),
        (TABLES, "'/etc/passwd'", "UNAUTHORIZED"),
        (TABLES, "duckdb_logs", "NOT_FOUND"),
    ],
)
def test_no_place_is_overlooked(
    ask: Callable[..., Any], fails: type[Exception], places: str, inside: str, code: str
) -> None:
    refused = 0
    lines = places.split("\n")[1:-1]
    for place in lines:
        with pytest.raises(fails) as error:
            ask(place.replace("@", inside))
        if error.value.args[0] == code:
            refused += 1
        else:  # it does not parse
            assert error.value.args[0] == "INVALID_REQUEST", place
            assert "syntax error" in error.value.args[1], place
    assert refused > len(lines) * 0.8


FINE = [
    "SELECT 1;",
    "SELECT ';' -- a comment ;",
    "/* ; */ FROM people ; ; -- x",
    "TABLE people",
    "VALUES (1, 'a'), (2, 'b')",
    "WITH a AS (FROM people), b AS (FROM a) SELECT count(*) FROM a, b, People AS c",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 9) FROM r",
    "FROM range(3) UNION SELECT * FROM generate_series(1, 2)",
    "SELECT k, count(*) FILTER (i > 5) FROM trades GROUP BY ALL HAVING k > 1 ORDER BY 1 LIMIT 3",
    "SELECT sum(i) OVER (PARTITION BY k ORDER BY i) FROM trades QUALIFY row_number() OVER () < 3",
    "FROM trades PIVOT (sum(i) FOR k IN (1, 2)) LIMIT 1",
    "SELECT DISTINCT ON (k) k, name FROM trades USING SAMPLE 10 ROWS",
    "SELECT u FROM unnest([1, 2]) t(u) JOIN people ON id = u",
    "SELECT [x * 2 for x in [1, 2] if x > 1], {'a': 1}.a, map {1: 2}[1], 'a' COLLATE nocase",
    "SELECT CASE WHEN true THEN 1 ELSE 2 END, 1 BETWEEN 0 AND 2, 'a' LIKE 'b%', NOT (1 IN (1))",
    "SELECT now(), current_date, extract(year FROM DATE '2026-01-01'), INTERVAL 1 DAY, uuid()",
    "SELECT '{\"a\": 1}'::JSON->>'a', regexp_matches('a', 'b'), try_cast('x' AS INTEGER)",
    "SELECT t.value FROM json_each('[1, 2]'), json_tree('{\"a\": 1}') AS t",
    'SELECT from_json(\'{"a": 1}\', \'{"a": "INTEGER"}\').a',
    "SELECT * EXCLUDE (name) REPLACE (k + 1 AS k), COLUMNS('na.*') FROM trades LIMIT 1",
    "SELECT (SELECT max(id) FROM people), EXISTS (FROM people), 1 = ANY (SELECT id FROM people)",
]


@pytest.mark.parametrize("sql", FINE)
def test_what_is_fine(ask: Callable[..., Any], sql: str) -> None:
    ask(sql)


@pytest.mark.parametrize(
    ("sql", "params", "rows"),
    [
        ("SELECT ? + ?, $2", [1, 2], [[3, 2]]),
        ("SELECT $a || $b", {"a": "x", "b": "y"}, [["xy"]]),
        ("SELECT $1::VARCHAR", [None], [[None]]),
        ("SELECT $x", {"x": "'; DROP TABLE people; --"}, [["'; DROP TABLE people; --"]]),
        ("SELECT $1, $2", [[1, 2], {"a": True}], [[[1, 2], {"a": True}]]),
    ],
)
def test_parameters(ask: Callable[..., Any], sql: str, params: Any, rows: list[Any]) -> None:
    assert ask(sql, params).rows == rows


@pytest.mark.parametrize("params", [[1], [1, 2, 3], {"a": 1}, {}, [1, 2**200]])
def test_parameters_that_do_not_fit(
    ask: Callable[..., Any], fails: type[Exception], params: Any
) -> None:
    with pytest.raises(fails, match="INVALID_REQUEST"):
        ask("SELECT ?, ?", params)


def test_every_function_of_the_list_is_one(database: Database) -> None:
    cursor = database.cursor()
    found = cursor.execute(
        "SELECT DISTINCT lower(function_name) FROM duckdb_functions()"
    ).fetchall()
    cursor.close()
    assert {name for (name,) in found} | {"->"} >= FUNCTIONS | TABLE_FUNCTIONS
