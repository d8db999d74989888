"""The floors that are written down for people are those that the linter holds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_table_of_floors_is_that_of_the_linter() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(each["layers"] for each in contracts["contracts"] if each["type"] == "layers")
    table = (ROOT / "docs" / "architecture.md").read_text().partition("|---|---|---|\n")[2]
    rows = [line.split("|")[2] for line in table.partition("\n\n")[0].splitlines()]

    held = [set(re.findall(r"[\w.]+", layer)) - {"__main__"} for layer in layers]
    assert [set(re.findall(r"[\w.]+", row)) for row in rows] == held
