"""`python -m lbproto_query_worker FD MEMORY THREADS FOLDER FILE…`: started by the engine.

What DuckDB does not bound, the system does: memory as addresses, CPU time, and files, of which none
can be written to once the catalogue is open.
"""

from __future__ import annotations

import os
import resource
import shutil
import socket
import sys
from contextlib import suppress
from pathlib import Path

from lbproto_query_worker.database import Database
from lbproto_query_worker.server import serve

# Beyond what DuckDB may use: rows on their way out, threads' stacks, and the allocator's arenas,
# which are addresses more than memory.
_SPARE_MEMORY = 1024 * 1024 * 1024


def main() -> None:
    """Serve until the engine closes the line."""
    descriptor, memory, threads, folder, *files = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def open_() -> Database:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        opening = _addresses() + int(memory) + 2 * _SPARE_MEMORY  # a file may be made to take more
        resource.setrlimit(resource.RLIMIT_AS, (opening, hard))
        database = Database(files, Path(folder), int(memory), int(threads))
        most = min(opening, _addresses() + int(memory) + _SPARE_MEMORY)
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        return database

    with suppress(OSError):
        serve(socket.socket(fileno=int(descriptor)), open_, threads=int(threads))
    shutil.rmtree(folder, ignore_errors=True)  # the engine does, too, if it still lives
    os._exit(0)  # whatever DuckDB's threads still do


def _addresses() -> int:
    """Bytes of addresses that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
