"""What the documents about security and versions name is there."""

from __future__ import annotations

import inspect
import re
import tomllib
from ast import literal_eval
from pathlib import Path

from lbproto import Admission, Limits, Plugin, Recovery, Server, Settings
from lbproto.console import ConsoleApp

ROOT = Path(__file__).parents[2]
MODEL = (ROOT / "docs" / "explanation" / "security.md").read_text()
VERSIONS = (ROOT / "docs" / "reference" / "versions.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def defaults() -> dict[str, object]:
    """What bounds others where nobody says otherwise, by its name."""
    found: dict[str, object] = {}
    for callable_ in (Plugin.on, Admission, ConsoleApp, Limits, Recovery, Server, Settings):
        parameters = inspect.signature(callable_).parameters
        found |= {name: each.default for name, each in parameters.items()}
    return found


def test_every_row_of_the_model_names_tests_that_there_are() -> None:
    rows = [line for line in MODEL.splitlines() if line.startswith("|") and "`tests/" in line]
    named = re.findall(r"`((?:plugins/\w+/)?tests/[\w./]*)`", MODEL)
    assert len(rows) > 30
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_default_of_the_model_is_that_of_the_code() -> None:
    found = defaults()
    told = re.findall(r"[(,] ?(\w+)=([\w.\"]+)", MODEL.partition("\n## SQL")[0])
    assert len(told) > 15
    assert [(name, found[name]) for name, _ in told] == [
        (name, literal_eval(value)) for name, value in told
    ]


def test_the_version_and_the_pythons_are_in_the_tables() -> None:
    series = PROJECT["version"].rpartition(".")[0]
    for document in (VERSIONS, (ROOT / "SECURITY.md").read_text()):
        assert re.search(rf"^\| {series} \|.*yes", document, re.MULTILINE)
    classified = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert re.findall(r"^\| CPython (3\.\d+) \|", VERSIONS, re.MULTILINE) == classified
    assert PROJECT["requires-python"] == f">={classified[0]}"
