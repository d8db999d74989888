"""The fuzzer runs, and would tell; ten minutes of it are for a person to start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("fuzz_wire.py")


def test_a_few_seconds_are_clean() -> None:
    command = [sys.executable, str(SCRIPT), "--seconds", "3", "--seed", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("clean: ")
