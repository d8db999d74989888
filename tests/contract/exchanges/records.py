"""The exchanges that the documentation shows: a file for each event, a row for each line."""

from __future__ import annotations

import json
from pathlib import Path

from tests.contract.exchanges.client import Exchange, Line

__all__ = ["DIRECTORY", "encode", "path_of"]

DIRECTORY = Path(__file__).parents[3] / "docs" / "reference" / "exchanges"


def path_of(event: str) -> Path:
    """Where the exchange of an event is kept."""
    return DIRECTORY / f"{event}.json"


def encode(exchange: Exchange) -> str:
    """The text of its file: a list of lines, each `{from, packet, data}` or `{note}`."""
    rows = ",\n".join(json.dumps(_row(line), ensure_ascii=False) for line in exchange.lines)
    return f"[\n{rows}\n]\n"


def _row(line: Line) -> dict[str, object]:
    if isinstance(line, str):
        return {"note": line}
    return {"from": line.sender, "packet": line.packet, "data": line.data}
