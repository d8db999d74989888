"""The README shows what there is."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_sample_is_the_example() -> None:
    sample = README.partition("<!-- file: hello.py -->\n```python\n")[2].partition("```")[0]
    assert sample == (ROOT / "examples" / "hello.py").read_text()


def test_it_stays_short() -> None:
    assert len(README.splitlines()) < 150
    sample = (ROOT / "examples" / "hello.py").read_text().splitlines()
    assert sum(1 for line in sample if line) <= 20


def test_its_links_lead_somewhere() -> None:
    targets = [part.partition(")")[0] for part in README.split("](")[1:]]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_it_names_every_plugin_and_every_extra() -> None:
    plugins = [
        f"`lbproto-{folder.parent.name}`" for folder in ROOT.glob("plugins/*/pyproject.toml")
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [f"`{name}`" for name in project["optional-dependencies"]]
    assert [name for name in (*plugins, *extras) if name not in README] == []


def test_examples_stay_short() -> None:
    for example in (ROOT / "examples").glob("*.py"):
        assert len(example.read_text().splitlines()) < 60, example.name
