"""The command: how many nodes so many clients take, from measured costs and simulated messages.

python -m benchmarks.capacity [--connections 1000000] [--nodes 2,10,20] [--sticky] …
python -m benchmarks.capacity check     what is predicted of messages beside what is simulated
python -m benchmarks.capacity measure   what nodes cost each other, on this machine
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from rich.console import Console

from benchmarks.capacity import report
from benchmarks.capacity.check import NODES, compare
from benchmarks.capacity.costs import UnitCosts, read
from benchmarks.capacity.model import MAX_NODES, Capacity, capacity, nodes_needed
from benchmarks.capacity.parts import Limits
from benchmarks.capacity.report import Row
from benchmarks.capacity.workload import Workload

__all__ = ["main"]

_FLAGS = ("sticky", "traced")
_WIDTH = 110


def main(arguments: list[str] | None = None) -> None:
    """Print what was asked for; exit code 1 where a prediction is wrong, 2 for a wrong question."""
    options = _parser().parse_args(arguments)
    console = Console(width=max(_WIDTH, Console().width))
    if options.what == "check":
        found = [compare(nodes) for nodes in NODES]
        head, rows = report.compared(found)
        _print(console, head, rows, options)
        sys.exit(any(not each.agrees for several in found for each in several))
    if options.what == "measure":
        from benchmarks.capacity.measure import measured

        for name, value in measured(quick=options.quick).items():
            print(f"{name} = {value:.1f}")
        return
    try:
        _model(console, options)
    except (OSError, ValueError) as error:
        sys.exit(f"capacity: {error}")


def _model(console: Console, options: argparse.Namespace) -> None:
    work = Workload(**{each.name: getattr(options, each.name) for each in fields(Workload)})
    limits = Limits(
        cpu=options.cpu,
        memory=options.memory * 2**30,
        network=options.network * 1e9,
        shards=options.shards,
        delay=options.delay,
    )
    costs = UnitCosts() if options.costs is None else read(options.costs)
    needed = nodes_needed(work, costs, limits)
    numbers = options.nodes or report.SHOWN
    found = [capacity(work, nodes, costs, limits) for nodes in numbers]
    if options.sources:
        _print(console, report.COSTS_HEAD, report.costs_table(costs), options)
        return
    if options.markdown:
        print(report.markdown(report.HEAD, report.by_nodes(found)), end="")
        return
    console.print(report.sentence(work), highlight=False)
    report.show(console, report.HEAD, report.by_nodes(found))
    console.print(report.NOTE, "", sep="\n", highlight=False)
    if needed is None:
        console.print(f"No number of nodes up to {MAX_NODES} is enough.")
    chosen = capacity(work, needed or numbers[-1], costs, limits)
    report.bars(console, chosen)
    _print_advice(console, work, chosen)
    if options.plot is not None:
        from benchmarks.capacity.plot import draw

        draw(work, costs, limits, options.plot)


def _print_advice(console: Console, work: Workload, found: Capacity) -> None:
    console.print(
        f"\nFor a log that reaches back 120 s: max_kept={found.kept:,.0f}, "
        f"max_kept_bytes={found.kept_bytes / 2**20:,.0f} MiB (each shard); the broker and the "
        f"storage take {found.broker_memory / 2**30:.1f} GiB.\n"
        f"A node that dies has {work.connections / found.nodes:,.0f} clients; they make "
        f"{found.storm_messages:,.0f} messages. A node that starts is sent "
        f"{found.starting_bytes / 2**20:,.0f} MiB, as are all others, and is busy for "
        f"{found.starting:.1f} s; each of the others says its part, in "
        f"{found.telling * 1e3:.0f} ms.",
        highlight=False,
    )


def _print(console: Console, head: Row, rows: Iterable[Row], options: argparse.Namespace) -> None:
    if options.markdown:
        print(report.markdown(head, rows), end="")
    else:
        report.show(console, head, rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("model", "check", "measure"), default="model")
    parser.add_argument("--nodes", type=_numbers, help="2,10,20; by default several, and enough")
    for each in fields(Workload):
        flag = f"--{each.name.replace('_', '-')}"
        if each.name in _FLAGS:
            parser.add_argument(flag, action="store_true")
        else:
            kind = int if isinstance(each.default, int) else float
            parser.add_argument(flag, type=kind, default=each.default, help=f"{each.default:,}")
    limits = Limits()
    parser.add_argument("--cpu", type=float, default=limits.cpu, help="part of a core to use")
    parser.add_argument("--memory", type=float, default=4.0, help="GiB of a node")
    parser.add_argument("--network", type=float, default=10.0, help="Gbit/s of a node")
    parser.add_argument("--shards", type=int, default=limits.shards, help="of the log")
    parser.add_argument("--delay", type=float, default=limits.delay, help="s at the broker")
    parser.add_argument("--costs", type=Path, help="TOML with costs in place of ours")
    parser.add_argument("--quick", action="store_true", help="measure for a moment")
    parser.add_argument("--sources", action="store_true", help="the costs, and where from")
    parser.add_argument("--markdown", action="store_true", help="the table for a document")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw it, as .png or .svg")
    return parser


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]
