"""What there is to see of a capacity, in a terminal and in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from math import inf

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from benchmarks.capacity.check import Compared
from benchmarks.capacity.costs import UnitCosts
from benchmarks.capacity.model import Capacity
from benchmarks.capacity.ports import Tally
from benchmarks.capacity.workload import Workload

__all__ = [
    "COSTS_HEAD",
    "HEAD",
    "NOTE",
    "SHOWN",
    "Row",
    "bars",
    "by_nodes",
    "compared",
    "costs_table",
    "markdown",
    "sentence",
    "show",
]

Row = Sequence[str]
_BAR = 40
_NUMBER = re.compile(r"\d")  # what begins with one is on the right
SHOWN = (2, 5, 10, 20, 30, 50, 100, 200)
"""Numbers of nodes that are shown where nobody says which."""
_GIB, _MIB = 2**30, 2**20


def sentence(work: Workload) -> str:
    """What there is to do, in words."""
    comes_back = "its node" if work.sticky else "any node"
    return (
        f"{work.connections:,} clients in {work.all_rooms:,.0f} rooms, "
        f"{work.published:,.0f} events/s, {work.delivered:,.0f} deliveries/s, "
        f"{work.asked:,.0f} requests/s; {work.begun:,.0f} sessions/s begin, and "
        f"{work.lost:,.0f} clients/s come back, each to {comes_back}"
    )


def bars(console: Console, found: Capacity) -> None:
    """What is used of each limit, the most first, and of what a core and the broker consist."""
    console.print(f"[bold]{found.nodes} nodes[/]: what is used of each limit")
    used = sorted(found.used().items(), key=lambda each: -each[1])
    for what, share in used:
        colour = "red" if share > 1 else "yellow" if share > 0.7 else "green"
        filled = min(_BAR, round(share * _BAR / 2))
        text = Text(f"  {what:<24}")
        text.append("█" * filled, colour)
        text.append("░" * (_BAR // 2 - filled) if filled < _BAR // 2 else "", "dim")
        console.print(text, f"{share:.0%}", sep=" ", highlight=False)
    for title, parts, unit in (
        ("node core", found.cores, "cores"),
        ("broker core", found.broker, "cores"),
        ("node memory", {each: many / _MIB for each, many in found.memory.items()}, "MiB"),
    ):
        console.print(f"\n[bold]{title}[/]: {sum(parts.values()):.2f} {unit}")
        most = max(parts.values())
        for what, many in sorted(parts.items(), key=lambda each: -each[1]):
            console.print(
                f"  {what:<24}{'█' * round(many / most * _BAR / 2)} {many:.3f}", highlight=False
            )


HEAD = (
    "nodes",
    "core",
    "GiB",
    "Mbit/s",
    "broker",
    "storage",
    "heard/s",
    "log, s",
    "back, s",
    "full",
)
NOTE = (
    "core, GiB, Mbit/s, heard/s: of each node, cores, memory, network, messages of others.  "
    "broker, storage: cores.\nlog: how far it reaches back, as bounded by default.  "
    "back: until the clients of a node that has died are, and what that waits for."
)


def by_nodes(found: Iterable[Capacity]) -> Iterator[Row]:
    """A row for each number of nodes."""
    for each in found:
        heard = sum(many for what, many in each.rates.items() if what.startswith("heard "))
        full = [what for what, share in each.used().items() if share > 1]
        yield (
            f"{each.nodes}",
            f"{sum(each.cores.values()):.2f}",
            f"{sum(each.memory.values()) / _GIB:.2f}",
            f"{each.network / 1e6:,.0f}",
            f"{sum(each.broker.values()):.2f}",
            f"{each.storage:.2f}",
            f"{heard / each.nodes:,.0f}",
            f"{each.window:.1f}",
            _seconds(each.storm),
            ", ".join(full) or "–",
        )


def _seconds(storm: Mapping[str, float]) -> str:
    what, longest = max(storm.items(), key=lambda each: each[1])
    return f"never: {what}" if longest == inf else f"{longest:,.0f}: {what}"


def costs_table(costs: UnitCosts) -> Iterator[Row]:
    """Every unit cost, and where it is from."""
    for name, value, what, source in costs.sources():
        shown = f"{value:,.0f} bytes" if name.endswith("_bytes") else f"{value:,.1f} µs"
        yield name, what, shown, source if source == "assumed" else f"`{source}`"


COSTS_HEAD = ("cost", "of", "is", "by `python -m …`")


def compared(found: Sequence[Sequence[Compared]]) -> tuple[Row, Iterator[Row]]:
    """What was predicted and simulated, for each number of nodes: head, and rows."""
    columns = [(f"{each[0].nodes} nodes", "simulated") for each in found]
    head = ("said/heard/stored", *chain.from_iterable(columns))
    return head, (
        (several[0].what, *chain.from_iterable(map(_both, several)))
        for several in zip(*found, strict=True)
    )


def _both(one: Compared) -> Row:
    return _three(one.predicted), _three(one.simulated) + ("" if one.agrees else " (!)")


def _three(tally: Tally) -> str:
    verbs = ("said", "heard", "stored")
    return "/".join(
        str(sum(many for what, many in tally.items() if what.split(" ")[0] == verb))
        for verb in verbs
    )


def show(console: Console, head: Row, rows: Iterable[Row]) -> None:
    """A table in the terminal."""
    table = Table(box=SIMPLE, pad_edge=False)
    for at, name in enumerate(head):
        table.add_column(name, justify="right" if at else "left", no_wrap=at < len(head) - 1)
    for row in rows:
        table.add_row(*row)
    console.print(table)


def markdown(head: Row, rows: Iterable[Row]) -> str:
    """The same for a document."""
    lines = list(rows)
    sides = [
        "--:" if all(_NUMBER.match(line[at]) for line in lines) else ":--"
        for at in range(len(head))
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in [head, sides, *lines])
