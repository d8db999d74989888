"""Restarts the demo under stock socket.io-clients, and tells when they come back.

    python benchmarks/rolling_restart.py --clients 500 --drain 10

The clients are on their defaults: 8 of 10 have `transports: ["websocket"]`, one begins with polling
and upgrades, one only polls. Each subscribes to a market room whenever it is connected. The old
process gets SIGTERM, and a new one is started on the same port as soon as nobody listens there. A
client is back when it is subscribed again.

Needs what the tests need: `uv sync`, and `npm install` in tests/node.
"""

from __future__ import annotations

import argparse
from collections import Counter
from statistics import quantiles

from tests.e2e.rolling import Restart, restart

_TRANSPORTS = (["websocket"],) * 8 + (["polling", "websocket"], ["polling"])
_BAR = 40  # characters of the longest


def show(seen: Restart) -> None:
    """Print what happened in each second since the signal."""
    closed, back = (
        Counter(map(int, seen.times(happened))) for happened in ("disconnect", "subscribed")
    )
    print("| second | closed | back |   |")
    print("|---:|---:|---:|:--|")
    for second in range(max(back) + 1):
        bar = "█" * round(_BAR * back[second] / max(back.values()))
        print(f"| {second} | {closed[second]} | {back[second]} | {bar} |")
    percentiles = quantiles(seen.times_away(), n=100)
    print(f"\nAway: median {percentiles[49]:.1f} s, 99 of 100 at most {percentiles[98]:.1f} s")


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--drain", type=float, default=10.0)
    options = parser.parse_args()
    clients = [_TRANSPORTS[number % len(_TRANSPORTS)] for number in range(options.clients)]
    show(restart(clients, options.drain))


if __name__ == "__main__":
    main()
