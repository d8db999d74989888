"""A virtual environment outside the tree, as its user would make it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Environment"]

SECONDS = 300


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Attributes:
        folder: where it is; commands are run in `folder / "work"`, which is empty at first.
    """

    folder: Path

    @classmethod
    def make(cls, uv: str, folder: Path, wheels: Path, *requirements: str) -> Environment:
        """Make one with `requirements`, where those of this repository come from `wheels`."""
        made = cls(folder)
        made.work.mkdir()
        uv_pip = [uv, "pip", "install", "--quiet", "--python", str(made.bin / "python")]
        for words in (
            [uv, "venv", "--quiet", "--python", sys.executable, str(folder / "venv")],
            [*uv_pip, "--find-links", str(wheels), *requirements],
        ):
            subprocess.run(words, cwd=made.work, check=True, env=made.variables)
        return made

    @property
    def bin(self) -> Path:
        return self.folder / "venv" / "bin"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def variables(self) -> dict[str, str]:
        """Ours, without what would let it see the tree."""
        hidden = ("PYTHONPATH", "VIRTUAL_ENV", "COVERAGE_PROCESS_START", "LBPROTO_TOKEN")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        return {**kept, "NO_COLOR": "1", "PATH": f"{self.bin}:{os.environ['PATH']}"}

    def run(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run one of its commands to the end; it may fail."""
        return subprocess.run(
            [str(self.bin / words[0]), *words[1:]],
            cwd=cwd or self.work,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            text=True,
            timeout=SECONDS,
        )

    @contextmanager
    def serving(self, *words: str) -> Iterator[tuple[str, str]]:
        """What `lbproto` with these words says when it serves, and its `http://` address."""
        process = subprocess.Popen(
            [str(self.bin / "lbproto"), *words, "--port", "0"],
            cwd=self.work,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if "Press Ctrl-C to stop" in line:
                    break
            match = re.search(r"^WebSocket +ws(://\S+)/ws$", said, re.MULTILINE)
            assert match is not None, said
            yield said, f"http{match[1]}"
            process.terminate()
            rest, _ = process.communicate(timeout=SECONDS)
            assert (process.returncode, rest) == (0, "")
        finally:
            process.kill()
            process.communicate()
