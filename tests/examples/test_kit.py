"""The guides to writing plugins and backends: what they show is run as it stands."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.examples.test_guides import BLOCK, ROOT


def blocks(page: str, language: str = "python") -> list[str]:
    text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
    return [code for each, code in BLOCK.findall(text) if each == language]


def run(folder: Path, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "uvloop"]
    done = subprocess.run(
        [*command, *options], cwd=folder, capture_output=True, check=False, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_suites_of_the_guides_pass(tmp_path: Path) -> None:
    (plugin,), (backend, storage) = blocks("write-a-plugin.md"), blocks("write-a-backend.md")
    shutil.copy(ROOT / "examples" / "file_storage.py", tmp_path)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["lbproto.testing.fixtures"]')
    (tmp_path / "test_plugin.py").write_text(plugin)
    (tmp_path / "test_storage.py").write_text(storage)
    assert "passed" in run(tmp_path)
    (tmp_path / "mine.py").write_text(backend)
    options = ("--noconftest", "-k", "uvloop and storage", "--lbproto-backend", "mine:MyBackend")
    (shown,) = blocks("write-a-backend.md", "console")
    table = [line.split() for line in run(tmp_path, *options).splitlines()]
    lines = [line.split() for line in shown.splitlines() if line.startswith("storage: ")]
    assert len(lines) == 7
    assert [line for line in lines if line not in table] == []
