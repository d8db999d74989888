"""The console as a person sees it: in a headless Chromium, on what the demo serves."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import running
from tests.e2e.node import NODE, need, need_node
from tests.serving import serving


@pytest.fixture
def chromium() -> str:
    need_node()
    need((NODE / "node_modules" / "axe-core").is_dir(), f"run `npm install` in {NODE}")
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    need(found, "Chromium is not installed")
    assert found is not None
    return found


def test_a_walk_through_every_view(chromium: str, tmp_path: Path) -> None:
    with running("demo") as demo:
        found = see(f"{demo.url.replace('ws', 'http', 1)}/console/", chromium, "walk", tmp_path)
    assert found["errors"] == []
    assert found["violations"] == []  # of what axe checks: contrast, names, roles, ...
    assert found["overflowing"] == []  # wider than the screen
    assert "candles, the last closes at 1,66" in found["told"]["candles"]
    assert found["told"]["resumed"].startswith("resumed, ")
    names = {file.name for file in tmp_path.iterdir()}
    assert {"dark-1280-overview.png", "light-1280-market.png", "dark-390-log.png"} <= names


def test_what_is_shown_is_text(chromium: str, tmp_path: Path) -> None:
    with serving("tests.console.hostile:app", "uvicorn-uvloop") as server:
        found = see(f"{server.http}/console/", chromium, "hostile", tmp_path)
    told = found["told"]
    assert found["errors"] == []  # nor did the policy have to stop anything
    assert (told["marker"], told["made"], told["shown"]) == (None, 0, True)
    assert told["events"] > 40


def see(address: str, chromium: str, what: str, pictures: Path) -> dict[str, Any]:
    """What the program finds; its pictures are in the folder."""
    done = subprocess.run(
        ["node", "console.mjs", address, chromium, what, str(pictures)],
        cwd=NODE,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    found: dict[str, Any] = json.loads(done.stdout)
    return found
