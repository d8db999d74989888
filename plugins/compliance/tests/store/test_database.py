"""DuckDB as the store uses it: what it reaches."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from lbproto_compliance.store.database import connect


def test_it_reaches_its_own_directory_and_nothing_else(tmp_path: Path) -> None:
    inside, outside = tmp_path / "bitcoin" / "rows.csv", tmp_path / "rows.csv"
    inside.parent.mkdir()
    for path in (inside, outside):
        path.write_text("height\n7\n")
    with connect(inside.parent) as connection:
        assert connection.execute("FROM read_csv(?)", [str(inside)]).fetchall() == [(7,)]
        for hidden in (outside, inside.parent / ".." / outside.name):
            with pytest.raises(duckdb.PermissionException, match=r"not permitted|disabled"):
                connection.execute("FROM read_csv(?)", [str(hidden)])
        with pytest.raises(duckdb.InvalidInputException, match="locked"):
            connection.execute("SET threads = 8")
