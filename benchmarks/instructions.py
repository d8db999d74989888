"""Instructions instead of time: the same from run to run, where time is not.

A program is run twice, with `n` and with `2 n` operations; the difference is what `n` of them took,
and starting and ending the interpreter cancel out. `perf` counts in hardware, where a machine has
counters for it; valgrind counts anywhere, at a thirtieth of the speed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache

__all__ = ["NotCounted", "count", "missing", "per_operation", "read_perf", "read_valgrind"]

# cachegrind without its caches counts the same as callgrind, in half the time.
_VALGRIND = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
_PERF = ("perf", "stat", "-x", ",", "-e", "instructions:u", "--")
_FIXED_LAYOUT = ("setarch", "-R")  # objects at the same addresses each time, and so in their hash
_REFERENCES = re.compile(r"I\s+refs:\s+([\d,]+)")


class NotCounted(Exception):
    """A program was run and its instructions were not counted; the message is what was said."""


def read_valgrind(said: str) -> int:
    """The instructions in what valgrind prints at the end.

    Raises:
        NotCounted: there are none.
    """
    found = _REFERENCES.search(said)
    if found is None:
        raise NotCounted(said[-500:] or "valgrind said nothing")
    return int(found[1].replace(",", ""))


def read_perf(said: str) -> int:
    """The instructions in what `perf stat -x ,` prints.

    Raises:
        NotCounted: there are none, as where the machine has no counters.
    """
    for line in said.splitlines():
        value, *fields = line.split(",")
        if "instructions:u" in fields and value.isdigit():
            return int(value)
    raise NotCounted(said[-500:] or "perf said nothing")


@cache
def _counter() -> str | None:
    """What can count here."""
    if shutil.which("perf"):
        tried = subprocess.run([*_PERF, "true"], capture_output=True, text=True, check=False)
        try:
            read_perf(tried.stderr)
        except NotCounted:
            pass
        else:
            return "perf"
    return "valgrind" if shutil.which("valgrind") else None


def missing() -> str | None:
    """What to install to have instructions counted; None where nothing is missing."""
    return None if _counter() else "install valgrind (this machine has no counters for perf)"


def count(command: Sequence[str]) -> int:
    """The instructions that a program takes, from its start to its end.

    Raises:
        NotCounted: it failed, or nothing here can count.
    """
    counter = _counter()
    if counter is None:
        raise NotCounted(str(missing()))
    layout = _FIXED_LAYOUT if shutil.which(_FIXED_LAYOUT[0]) else ()
    done = subprocess.run(
        [*layout, *(_PERF if counter == "perf" else _VALGRIND), *command],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotCounted(done.stderr[-500:])
    return read_perf(done.stderr) if counter == "perf" else read_valgrind(done.stderr)


def per_operation(once: int, twice: int, times: int) -> float:
    """What one operation takes, of runs of `times` and of twice as many.

    Raises:
        NotCounted: the longer run took no more: what was counted was something else.
    """
    if twice <= once:
        raise NotCounted(f"{2 * times} operations took no more than {times}")
    return (twice - once) / times
