"""A Sphinx directive: what lbproto and its plugins depend on, from their `pyproject.toml`.

The oldest version is what is asked for; the newest is what these pages were built with, which is
what the tests ran with.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from packaging.requirements import Requirement
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

_ROOT = Path(__file__).parents[1]


def _required() -> Iterator[tuple[str, Requirement]]:
    """Who asks, as pip is told, and for what; those of this repository are left out."""
    for file in (_ROOT / "pyproject.toml", *sorted(_ROOT.glob("plugins/*/pyproject.toml"))):
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
        asked = {"": project["dependencies"], **project.get("optional-dependencies", {})}
        for extra, texts in asked.items():
            for requirement in map(Requirement, texts):
                if not requirement.name.startswith("lbproto"):
                    yield project["name"] + (f"[{extra}]" if extra else ""), requirement


def _rows() -> Iterator[str]:
    asking: dict[tuple[str, str], list[str]] = {}
    for who, requirement in _required():
        (bound,) = requirement.specifier
        asking.setdefault((requirement.name, bound.version), []).append(f"`{who}`")
    yield from ("| package | asked for by | oldest | newest tried |", "|---|---|---|---|")
    for (name, oldest), who in asking.items():
        yield f"| {name} | {', '.join(who)} | {oldest} | {version(name)} |"


class DependencyTable(SphinxDirective):
    """Writes a row for each package."""

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes(StringList(list(_rows()), "pyproject.toml"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("dependency-table", DependencyTable)
    return {"parallel_read_safe": True}
