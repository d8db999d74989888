"""What a row needs of the machine, and how to come by it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

__all__ = ["ROOT", "Need", "compiler", "node", "package"]

ROOT = Path(__file__).parents[1]
NODE_MODULES = ROOT / "tests" / "node" / "node_modules"

Need = Callable[[], str | None]
"""Tells what is missing and how to install it; None where nothing is."""


def package(module: str, distribution: str | None = None) -> Need:
    """A Python package."""

    def missing() -> str | None:
        if find_spec(module) is not None:
            return None
        return f"`uv pip install {distribution or module}`"

    return missing


def node(module: str) -> Need:
    """Node, and one of its modules."""

    def missing() -> str | None:
        if shutil.which("node") is None:
            return "install Node.js"
        if not (NODE_MODULES / module).is_dir():
            return "`npm install` in tests/node"
        return None

    return missing


def compiler() -> str | None:
    """A C compiler."""
    return None if shutil.which("cc") else "install a C compiler, as `cc`"
