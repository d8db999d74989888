"""TypeScript's compiler, as strict as it can be told to be."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.e2e.node import NODE

__all__ = ["compile_in"]

_STRICT = (
    "--strict",
    "--exactOptionalPropertyTypes",
    "--noImplicitOverride",
    "--noPropertyAccessFromIndexSignature",
    "--noUncheckedIndexedAccess",
    "--noUnusedLocals",
    "--noUnusedParameters",
    "--erasableSyntaxOnly",
    "--isolatedModules",
    "--verbatimModuleSyntax",
    *("--target", "es2022", "--module", "nodenext"),
)


def compile_in(directory: Path, *files: str) -> str:
    """Compile files of a directory, which has the modules of tests/node at hand.

    Returns:
        What the compiler has to say; nothing if all is well.
    """
    (directory / "node_modules").symlink_to(NODE / "node_modules")
    (directory / "package.json").write_text('{"type": "module"}')
    done = subprocess.run(
        [NODE / "node_modules" / ".bin" / "tsc", *_STRICT, *files],
        cwd=directory,
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode == 0) == (done.stdout == ""), done.stderr
    return done.stdout
