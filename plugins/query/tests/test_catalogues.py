from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lbproto import NotFound, Overloaded
from lbproto_query import Catalogues, DuckDBEngine, QueryRequest, Rows, bundled_catalogues
from lbproto_query.estimates import Pace


@pytest.mark.parametrize(
    "application_id",
    [
        "",
        ".",
        "..",
        "../catalogues",
        "shop/",
        "shop/../bank",
        "/",
        "/etc",
        "SHOP",
        "shop\0",
        "shop ",
        "sh*p",
        ".hidden",
        "~",
        "x" * 100_000,
        "\ud800",
        "file",
    ],
)
def test_an_id_is_no_path(tmp_path: Path, application_id: str) -> None:
    for name in ("shop", "bank", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(NotFound):
        Catalogues(tmp_path).find(application_id)


def test_files_and_versions(tmp_path: Path) -> None:
    catalogues = Catalogues(tmp_path)
    folder = tmp_path / "shöp"
    folder.mkdir()
    (folder / "a.csv").write_text("x\n1\n")
    (folder / "b.txt").write_text("")
    (folder / ".c.csv").write_text("")
    (folder / "d[1].csv").write_text("")
    first = catalogues.find("shöp")
    assert [each.name for each in first.files] == ["a.csv"]
    assert catalogues.find("shöp") == first
    (folder / "a.csv").write_text("x\n1\n2\n")
    assert catalogues.find("shöp").version != first.version
    with pytest.raises(NotFound):
        Catalogues(tmp_path / "nowhere").find("shop")


def _publish(root: Path, number: int) -> None:
    """As an operator would: a new directory, and a link that is renamed."""
    folder = root / ".versions" / str(number)
    folder.mkdir(parents=True)
    with duckdb.connect() as connection:
        rows = connection.sql("SELECT $1 AS version FROM range(200000)", params=[number])
        rows.write_parquet(f"{folder}/t.parquet")
    (root / ".next").symlink_to(folder, target_is_directory=True)
    (root / ".next").rename(root / "shop")


@pytest.mark.parametrize("isolated", [True, False], ids=["process", "thread"])
@pytest.mark.anyio
async def test_a_new_version_is_for_new_queries(
    tmp_path: Path, fetch: Callable[..., Any], isolated: bool
) -> None:
    _publish(tmp_path, 1)
    async with DuckDBEngine(Catalogues(tmp_path), isolated=isolated) as engine:
        old = QueryRequest(application_id="shop", sql="FROM t", arrays=True)
        async with engine.query(old) as stream:
            parts = [await anext(stream)]
            _publish(tmp_path, 2)
            assert (await fetch(engine, "SELECT max(version) AS v FROM t")).rows == [{"v": 2}]
            parts += [part async for part in stream]
        texts = {part.data.replace(b"[1]", b"") for part in parts if isinstance(part, Rows)}
        assert {text.replace(b",", b"") for text in texts} == {b"[]"}
        assert stream.outcome is not None
        assert stream.outcome.rows == 200000


@pytest.mark.parametrize("text", ["no parquet", ""])
@pytest.mark.anyio
async def test_a_file_that_is_not_what_it_is_called(
    tmp_path: Path, fetch: Callable[..., Any], caplog: pytest.LogCaptureFixture, text: str
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "t.parquet").write_text(text)
    async with DuckDBEngine(Catalogues(tmp_path)) as engine:
        with caplog.at_level(logging.ERROR), pytest.raises(Overloaded, match="cannot be opened"):
            await fetch(engine, "SELECT 1")
    assert "t.parquet" in caplog.text


@pytest.mark.anyio
async def test_a_file_that_goes_away(tmp_path: Path, fetch: Callable[..., Any]) -> None:
    _publish(tmp_path, 1)
    async with DuckDBEngine(Catalogues(tmp_path), isolated=False) as engine:
        await fetch(engine, "SELECT 1")
        worker = engine._workers["shop"]
        os.unlink(tmp_path / "shop" / "t.parquet")  # noqa: PTH108 - no await in between
        stream = await worker.open(QueryRequest(application_id="shop", sql="FROM t"), None, Pace())
        with pytest.raises(Overloaded, match="cannot be read"):
            async for _ in stream:
                pass


@pytest.mark.anyio
async def test_what_comes_with_the_package(fetch: Callable[..., Any]) -> None:
    async with DuckDBEngine(bundled_catalogues(), isolated=False) as engine:
        trades = await fetch(engine, "FROM trades ORDER BY id LIMIT 1", "default")
        assert trades.rows == [
            {
                "timestamp": "2023-02-02T09:20:00.138Z",
                "id": "1206419187",
                "side": "buy",
                "price": "1666.80000000",
                "amount": "26.06200000",
            }
        ]
        counts = await fetch(
            engine,
            "SELECT (SELECT count(*) FROM trades), count(DISTINCT txid), max(tx_index)"
            " FROM bitcoin_block",
            "default",
            arrays=True,
        )
        assert counts.rows == [["1000", "1866", 1865]]
