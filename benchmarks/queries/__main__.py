"""What the query engine manages: cancelling, streaming, rows a second, and its neighbours.

    python -m benchmarks.queries cancel [TRIES]
    python -m benchmarks.queries stream [ROWS]
    python -m benchmarks.queries rates [ROWS]
    python -m benchmarks.queries beside [--quick]

`cancel` leaves queries after some random time and waits for the worker to say that they have ended.
`stream` looks at the memory of this process and of the worker while rows come. `rates` has the same
rows from the engine, encoded, and from DuckDB in this process, as Python's values. `beside` has a
server tell 500 clients the time ten times a second, and five more ask it for 30 million rows each.
"""

from __future__ import annotations

import sys

from benchmarks.queries import beside, engine


def main(what: str = "", *more: str) -> None:
    """Do what the command line says."""
    count = int(more[0]) if more and more[0].isdigit() else None
    if what == "cancel":
        engine.run(engine.cancel, count or 200)
    elif what == "stream":
        engine.run(engine.stream, count or 30_000_000)
    elif what == "rates":
        engine.run(engine.rates, count or 2_000_000)
    elif what == "beside":
        beside.run(quick="--quick" in more)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
