"""Runs one operation in a process of its own, which the operating system then clears away.

    python -m benchmarks.micro.run OPERATION ROW TIMES

TIMES is how often, for somebody who watches; 0 prints the CPU time of one in microseconds, and -1
does so from a few.
"""

from __future__ import annotations

import os
import sys

from benchmarks.micro import OPERATIONS
from benchmarks.micro.operation import clock, prepared


def main(name: str, row: str, times: int) -> None:
    """Run it."""
    operation = next(one for one in OPERATIONS if (one.name, one.row) == (name, row))
    if times > 0:
        prepared(operation)(times)
    else:
        print(clock(operation, quick=times < 0))
    sys.stdout.flush()
    os._exit(0)  # what it takes to end is not part of the operation


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
