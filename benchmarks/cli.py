"""The one command: `python -m benchmarks`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from benchmarks import report, rows
from benchmarks.cases import CASES
from benchmarks.machine import LOAD_CORE, on_core
from benchmarks.options import Options
from benchmarks.results import NotStored, Results, load, save
from benchmarks.running import run

__all__ = ["main"]

_MAX_LOAD = 0.8  # of a core: beyond, a server is busy at any pace, and joins what it gets
_WIDTH = 140  # columns of a table that goes to a file or a pipe

T = TypeVar("T")

ALL = tuple(name for name in CASES if name not in ("instructions", "soak"))
"""What `all` runs: a soak and counting take minutes, and are asked for by name."""

_QUICK = {
    "clients": (20,),
    "repeats": 1,
    "seconds": 0.3,
    "warm": 0.1,
    "missed": (10,),
    "minutes": 0.05,
}
_EXAMPLES = """
examples:
  python -m benchmarks fanout --rows lbproto,node-socketio,c --clients 1000
  python -m benchmarks fanout --clients 1000 --events 1,2,5,10 --json run.json
  python -m benchmarks request --compare benchmarks/results/stored.json
  python -m benchmarks micro --instructions
  python -m benchmarks soak --minutes 10 --load 0.6 --churn 0.01 --json soak.json --plot plots
  python -m benchmarks show run.json --plot plots

The server has one core to itself and the load generator another. Absolute figures are of one
machine; compare ratios.
"""


def _list_of(kind: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    def parse(text: str) -> tuple[T, ...]:
        return tuple(kind(part) for part in text.split(",") if part)

    parse.__name__ = f"list of {kind.__name__}"  # what argparse calls it in an error
    return parse


def _share_of_core(text: str) -> float:
    share = float(text)
    if not 0 < share <= _MAX_LOAD:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most {_MAX_LOAD}")
    return share


def _shared() -> argparse.ArgumentParser:
    """What every case takes."""
    parser = argparse.ArgumentParser(add_help=False)
    what = parser.add_argument_group("what to measure")
    what.add_argument(
        "--rows", type=_list_of(str), metavar="A,B", help="these rows only; see `list`"
    )
    what.add_argument("--clients", type=_list_of(int), metavar="N,...", help="numbers of clients")
    what.add_argument(
        "--events", type=_list_of(int), metavar="K,...", help="events a publication (frames a turn)"
    )
    what.add_argument(
        "--payload", type=_list_of(int), metavar="B,...", help="bytes of an event (190)"
    )
    what.add_argument(
        "--wire",
        dest="wires",
        type=_list_of(str),
        metavar="W,...",
        help="wires of the rows that speak several: socketio, msgpack, plain",
    )
    what.add_argument("--stalled", type=int, metavar="N", help="clients of these that never read")
    what.add_argument(
        "--window", type=int, metavar="W", help="publications under way at a time (3)"
    )
    what.add_argument("--depth", type=int, metavar="D", help="requests under way, a connection (1)")
    what.add_argument(
        "--rate", type=float, metavar="R", help="publications a second, if paced (20)"
    )
    what.add_argument("--missed", type=_list_of(int), metavar="M,...", help="events missed (100)")
    how = parser.add_argument_group("how")
    how.add_argument("--repeats", type=int, metavar="N", help="how often (3); rows are shuffled")
    how.add_argument("--seconds", type=float, metavar="S", help="of a measurement (5)")
    how.add_argument("--warm", type=float, metavar="S", help="before it, not counted (1)")
    how.add_argument(
        "--instructions",
        action="store_true",
        default=None,
        help="micro: count instructions instead of time",
    )
    how.add_argument(
        "--quick", action="store_true", default=None, help="as short as can be: checks counts only"
    )
    how.add_argument("--minutes", type=float, metavar="M", help="of a soak (10)")
    how.add_argument(
        "--load",
        type=_share_of_core,
        metavar="SHARE",
        help="of a core that the server is to use in a soak (0.6); its pace is sought",
    )
    how.add_argument("--churn", type=float, metavar="SHARE", help="of clients, a second (0.01)")
    _add_output(parser)
    how_shown = parser.add_argument_group("what to do with it")
    how_shown.add_argument("--json", type=Path, metavar="FILE", help="store the run")
    return parser


def _add_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how to show it")
    group.add_argument(
        "--base", metavar="ROW", help="what ratios are to; by default the best known"
    )
    group.add_argument("--compare", type=Path, metavar="FILE", help="with a stored run")
    group.add_argument("--plot", type=Path, metavar="DIR", help="draw PNGs there")
    group.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="What lbproto costs, beside what others cost.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="the rows, what they serve and what is missing to run them")
    shown = commands.add_parser("show", help="a stored run: its tables, a comparison, its plots")
    shown.add_argument("file", type=Path)
    _add_output(shown)
    shared = _shared()
    for case in CASES.values():
        help_ = case.summary[0].lower() + case.summary[1:]
        commands.add_parser(case.name, help=help_, parents=[shared])
    commands.add_parser("all", help=f"{', '.join(ALL)}: one after the other", parents=[shared])
    return parser


def _options(given: argparse.Namespace) -> Options:
    asked = {
        field.name: value
        for field in fields(Options)
        if (value := getattr(given, field.name, None)) is not None
    }
    return Options(**{**(_QUICK if given.quick else {}), **asked})


def _cases(given: argparse.Namespace) -> Sequence[str]:
    if given.command == "all":
        return (*ALL, "soak") if given.quick else ALL
    if given.command == "micro" and given.instructions:
        return ("instructions",)
    return (given.command,)


def _run(given: argparse.Namespace) -> Results:
    options = _options(given)
    results = Results(
        options={
            name: str(value)
            for name, value in vars(given).items()
            if value is not None and name not in ("json", "plot", "compare", "markdown")
        }
    )
    for name in _cases(given):
        with on_core(LOAD_CORE):
            found = run(CASES[name], options, lambda line: print(line, flush=True))
        results.cases.append(found)
        if given.json is not None:
            save(results, given.json)  # after each case: a long run may be interrupted
    return results


def _show(results: Results, given: argparse.Namespace, console: Console) -> None:
    for found in results.cases:
        console.print(report.table(CASES[found.case], found, given.base))
        for note in report.notes(found):
            console.print(note, markup=False, highlight=False)
    if given.compare is not None:
        stored = load(given.compare)
        for found in results.cases:
            console.print(report.comparison(CASES[found.case], found, stored, given.base))
    if given.markdown is not None:
        given.markdown.write_text(report.markdown(results, given.base))
    if given.plot is not None:
        from benchmarks import plots  # matplotlib is slow to load, and need not be there

        for path in plots.draw(results, given.plot):
            console.print(f"drawn    {path}")


def main(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        0; 1 where a measurement failed; 2 where the command was wrong.
    """
    given = _parser().parse_args(arguments)
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH  # nobody's window limits a file
    if given.command == "list":
        console.print(report.rows_table())
        return 0
    try:
        results = load(given.file) if given.command == "show" else _run(given)
        _show(results, given, console)
    except (rows.UnknownRow, NotStored) as mistake:
        console.print(mistake, style="red", markup=False)
        return 2
    return int(any(found.failed for found in results.cases))
