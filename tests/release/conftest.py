"""Distributions as they would be uploaded, and environments that have nothing else.

Needs `uv`, and what it has in its cache or can fetch. Without it these tests are skipped; where
`CI=true`, they fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.release.environment import Environment

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def uv() -> str:
    found = shutil.which("uv")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("there is no uv")
        pytest.skip("there is no uv")
    return found


@pytest.fixture(scope="session")
def built(uv: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distributions of the core and all plugins, and a wheel of each.

    The wheels are made from the source distributions, as an installer makes them that may not use
    wheels.
    """
    out = tmp_path_factory.mktemp("built")
    subprocess.run(
        [uv, "build", "--quiet", "--all-packages", "--python", sys.executable, "--out-dir", out],
        cwd=ROOT,
        check=True,
    )
    return out


@pytest.fixture(scope="session")
def bare(uv: str, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """lbproto from its wheel, with what it depends on and no more."""
    return Environment.make(uv, tmp_path_factory.mktemp("bare"), built, "lbproto")


@pytest.fixture(scope="session")
def full(uv: str, built: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """lbproto and its plugins from their wheels, with the command and pytest."""
    folder = tmp_path_factory.mktemp("full")
    return Environment.make(uv, folder, built, "lbproto[demo,testing]", "jsonschema")
