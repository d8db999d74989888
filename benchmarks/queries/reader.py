"""Clients that ask for more rows than can come in time, and count what comes.

    python -m benchmarks.queries.reader URL CLIENTS ROWS SECONDS

Prints a line when all queries have begun, and at the end how many rows have come a second, and how
many to the client that got fewest.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from lbproto.load import Crowd, Dialect, listen, plain

__all__ = ["ROWS", "asking"]

ROWS = "SELECT range::INTEGER AS i, range * 0.25 AS price, 'trade ' || range AS name FROM range({})"
"""Three columns; how many rows is to be filled in."""


def asking(rows: int) -> Dialect:
    """Whoever speaks it is in when its query has begun; each row counts."""
    query = f'{{"event":"query","data":{{"sql":"{ROWS.format(rows)}"}}}}'
    return replace(
        plain("demo-reader"),
        subscribe=query,
        subscribed='{"event":"query_started"',
        marker='{"i":',
    )


def main(url: str, clients: int, rows: int, seconds: float) -> None:
    """Read for so long."""
    with Crowd(url, asking(rows), clients) as crowd:
        crowd.connect()
        crowd.subscribe("rows")
        print("begun", flush=True)
        seen = listen(crowd, seconds=seconds)
        print(round(seen.per_second), seen.fewest)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
