"""DuckDB as the store uses it: confined to one directory, within bounds, exact from run to run."""

from __future__ import annotations

from pathlib import Path

import duckdb

__all__ = ["connect"]

# What takes more goes to the disk, beside the data.
_MEMORY = "512MiB"


def connect(directory: Path, file: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A connection that reaches files below `directory` and nothing else; blocks.

    It has one thread: so what it writes is the same, byte for byte, whenever it is written again.

    Args:
        directory: of a chain.
        file: the database; None for one in memory.

    Raises:
        duckdb.Error: the file cannot be opened, as when another process has it open.
    """
    connection = duckdb.connect(
        ":memory:" if file is None else str(file),
        config={
            "threads": 1,
            "memory_limit": _MEMORY,
            "temp_directory": str(directory / "importing"),
            "autoload_known_extensions": "false",
            "autoinstall_known_extensions": "false",
        },
    )
    connection.execute("SET allowed_directories = ?", [[f"{directory}/"]])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
