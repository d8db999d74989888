"""The tutorial, followed as a beginner does: from the wheel, in an environment empty at first.

But for `pip`, which is uv's, and for Node's modules, which tests/node has.
"""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal

from tests.docs.pages import ROOT, Block, blocks_of
from tests.docs.places import Places
from tests.docs.reader import Reader
from tests.e2e.node import NODE, need, need_node

TUTORIAL = ROOT / "docs" / "tutorial"
PAGES = [TUTORIAL / "index.md", *sorted(TUTORIAL.glob("[1-9]-*.md"))]


class Beginner(Reader):
    """Saves programs, and runs nothing but commands."""

    def python(self, block: Block) -> None:
        assert {"file", "append"} & block.marks.keys(), f"{block.place} is not saved"

    js = python


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A directory with lbproto's wheel."""
    need(shutil.which("uv"), "uv is not installed")
    run("uv", "build", "--wheel", "--quiet", "--out-dir", str(tmp_path / "wheels"), str(ROOT))
    return tmp_path / "wheels"


def run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, check=False, text=True, timeout=300)
    need(done.returncode == 0, f"{words}: {done.stderr}")


def test_it_ends_in_a_plugin_that_works(
    tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_node()
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    folder = tmp_path / "tutorial"
    folder.mkdir()
    (folder / "node_modules").symlink_to(NODE / "node_modules")
    run("uv", "venv", "--quiet", str(folder / ".venv"))
    with ExitStack() as stack, start_blocking_portal("asyncio") as portal:
        reader = Beginner(folder, portal, Places(folder, stack, lambda: 0), folder / ".venv")
        stack.callback(reader.close)
        for page in PAGES:
            reader.read(block for block in blocks_of(page) if isinstance(block, Block))
