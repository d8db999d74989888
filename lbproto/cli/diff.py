"""`lbproto diff`: what has changed from one contract to the next, and whom it breaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from typing import Annotated

import typer
from rich.text import Text

from lbproto.cli.contracts import contract_of
from lbproto.cli.show import output, print_json
from lbproto.cli.values import printable
from lbproto.contract import Change
from lbproto.contract import diff as changes_between
from lbproto.contract.changes import Severity

__all__ = ["diff"]

_SHOWN: dict[Severity, tuple[str, str]] = {
    "breaking": ("✗", "red"),
    "notice": ("!", "yellow"),
    "compatible": ("+", "green"),
}


def diff(
    old: Annotated[
        str,
        typer.Argument(metavar="OLD", help="A file by `lbproto schema`, a URL, or module:server."),
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Likewise; `-` is standard input.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
) -> None:
    """Tell what has changed between two contracts; exit code 1 if a client would break.

    What a client sends has to be accepted still, and what it receives has to be what it expects.
    """
    changes = changes_between(contract_of(old), contract_of(new))
    if as_json:
        for change in changes:
            print_json(change)
    else:
        _show(changes)
    raise typer.Exit(1 if any(change.severity == "breaking" for change in changes) else 0)


def _show(changes: list[Change]) -> None:
    console = output()
    groups = [list(group) for _, group in groupby(changes, key=_heading)]
    for group in sorted(groups, key=_worst):
        about, direction = _heading(group[0])
        heading = Text(printable(about), "bold")
        if direction:
            heading.append(f"  {direction}", "dim")
        console.print(heading, soft_wrap=True)
        for change in sorted(group, key=_rank):
            sign, colour = _SHOWN[change.severity]
            line = Text(f"  {sign} ", colour)
            if change.path:
                line.append(f"{printable(change.path)}  ", "cyan")
            console.print(line.append(printable(change.message)), soft_wrap=True)
        console.print()
    console.print(_summary(changes), soft_wrap=True)


def _summary(changes: Iterable[Change]) -> Text:
    counts = Counter(change.severity for change in changes)
    if not counts:
        return Text("nothing has changed", "green")
    parts = [
        Text(f"{counts[severity]} {_counted(severity, counts[severity])}", colour)
        for severity, (_, colour) in _SHOWN.items()
        if counts[severity]
    ]
    return Text(", ").join(parts)


def _counted(severity: Severity, count: int) -> str:
    return "notices" if severity == "notice" and count > 1 else severity


def _heading(change: Change) -> tuple[str, str]:
    return change.about, change.direction or ""


def _worst(group: list[Change]) -> int:
    return min(map(_rank, group))


def _rank(change: Change) -> int:
    return list(_SHOWN).index(change.severity)
