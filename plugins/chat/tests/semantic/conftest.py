from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from lbproto_chat.semantic import Layer, Reader
from lbproto_query import bundled_catalogues


@pytest.fixture(scope="session")
def files() -> tuple[Path, ...]:
    """The Parquet files of the bundled catalogue."""
    return bundled_catalogues().find("default").files


@pytest.fixture(scope="session")
def layer(files: tuple[Path, ...]) -> Layer:
    return Layer.load(files[0].with_name("layer.toml"))


@pytest.fixture(scope="session")
def reader(layer: Layer) -> Reader:
    return Reader(layer)


@pytest.fixture(scope="session")
def catalogue(files: tuple[Path, ...]) -> Iterator[duckdb.DuckDBPyConnection]:
    """The bundled catalogue in DuckDB."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for path in files:
            connection.execute(f"CREATE VIEW {path.stem} AS FROM '{path}'")
        yield connection
