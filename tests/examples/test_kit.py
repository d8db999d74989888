"""The guides to writing plugins and backends: what they show is run as it stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.examples.test_guides import BLOCK, ROOT


def blocks(page: str) -> list[str]:
    text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
    return [code for language, code in BLOCK.findall(text) if language == "python"]


def run(folder: Path, *options: str) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "uvloop"]
    done = subprocess.run(
        [*command, *options], cwd=folder, capture_output=True, check=False, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_suites_of_the_guides_pass(tmp_path: Path) -> None:
    (plugin,), (backend, storage) = blocks("write-a-plugin.md"), blocks("write-a-backend.md")
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["lbproto.testing.fixtures"]')
    (tmp_path / "test_plugin.py").write_text(plugin)
    (tmp_path / "test_storage.py").write_text(storage)
    assert "passed" in run(tmp_path)
    (tmp_path / "mine.py").write_text(backend)
    one = ("--noconftest", "-k", "uvloop and a_key_nobody")
    assert "storage: records  yes" in run(tmp_path, *one, "--lbproto-backend", "mine:MyBackend")
