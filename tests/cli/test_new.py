"""`lbproto new plugin`: what it writes passes its own tests, as its reader would run them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lbproto.cli.new import _bounds
from tests.cli.commands import SECONDS
from tests.cli.conftest import Main


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        capture_output=True,
        check=False,
        text=True,
        timeout=SECONDS,
    )


def test_a_new_plugin_passes_its_own_tests_lint_and_types(tmp_path: Path) -> None:
    made = run(tmp_path, "lbproto", "new", "plugin", "order-book")
    assert made.returncode == 0, made.stderr
    assert "lbproto-order-book/" in made.stdout
    assert "cd lbproto-order-book\n  pip install 'pip>=25.1'\n  pip install -e ." in made.stdout
    folder = tmp_path / "lbproto-order-book"
    assert '"lbproto>=0.1,<0.2",' in (folder / "pyproject.toml").read_text()
    assert (folder / "lbproto_order_book" / "py.typed").is_file()
    assert not [path for path in folder.rglob("*.*") if "{{" in path.read_text(encoding="utf-8")]
    for command in (
        ("pytest", "-q", "-p", "no:cacheprovider"),
        ("ruff", "check"),
        ("ruff", "format", "--check"),
        ("mypy",),
    ):
        done = run(folder, *command)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_longest_name_is_formatted_too(tmp_path: Path) -> None:
    made = run(tmp_path, "lbproto", "new", "plugin", "w2345678-01234-w89")
    assert made.returncode == 0, made.stderr
    for command in (("ruff", "check"), ("ruff", "format", "--check")):
        done = run(tmp_path / "lbproto-w2345678-01234-w89", *command)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("release", "bounds"),
    [("0.1.0", ">=0.1,<0.2"), ("0.12.3", ">=0.12,<0.13"), ("1.4.0rc1", ">=1.4,<2")],
)
def test_it_asks_for_what_it_was_written_for(release: str, bounds: str) -> None:
    assert _bounds(release) == bounds


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Notes", "names no plugin: write lower-case letters"),
        ("../notes", "names no plugin"),
        ("2notes", "names no plugin"),
        ("a" * 19, "at most 18"),
        ("lbproto-notes", "leave the prefix out: lbproto new plugin notes"),
        ("market", "take another name"),
        ("there", "is there already: take another name, or remove it"),
    ],
)
def test_what_cannot_be_is_refused(name: str, why: str, tmp_path: Path, run_here: Main) -> None:
    (tmp_path / "lbproto-there").mkdir()
    done = run_here("new", "plugin", name, "--into", str(tmp_path))
    assert done.code == 2
    assert why in done.err
    assert list(tmp_path.iterdir()) == [tmp_path / "lbproto-there"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, run_here: Main) -> None:
    done = run_here("new", "plugin", "notes", "--into", str(tmp_path / "nowhere"))
    assert done.code == 2
    assert "make it first, or leave --into out" in done.err
