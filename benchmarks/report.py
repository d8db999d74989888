"""Tables: for a terminal by rich, for documents as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from benchmarks import rows
from benchmarks.cases import CASES
from benchmarks.cases.base import Case
from benchmarks.compare import base_of, differences, groups
from benchmarks.figures import Figure, Spread, ratio, spread
from benchmarks.results import CaseResult, Measurement, Parameters, Results, alike

__all__ = [
    "Lines",
    "comparison",
    "label",
    "lines",
    "markdown",
    "notes",
    "rows_table",
    "table",
    "title_of",
]

Lines = list[list[str]]
"""A table's cells, its head first."""

_NAMES = {"clients": "N", "events": "K", "payload": "bytes", "operation": "operation"}
"""What a parameter is called in the head of a column, where not by its name."""


def title_of(row: str) -> str:
    """What a row is called for a reader."""
    return rows.ROWS[row].title if row in rows.ROWS else row


def label(one: Measurement, found: CaseResult) -> str:
    """What a measurement is called: its row, and its wire where the row has several."""
    wires = {other.parameters.get("wire") for other in found.measurements if other.row == one.row}
    title = title_of(one.row)
    return f"{title}, {one.parameters['wire']}" if len(wires) > 1 else title


def lines(case: Case, found: CaseResult, base: str | None = None, *, details: bool = True) -> Lines:
    """A case's table: the cheapest row first, each with its ratio to the base of its group."""
    varying = _varying(found)
    figures = [
        figure
        for figure in case.figures
        if _taken(found, figure) and (details or not figure.detail)
    ]
    head = ["row", *(_NAMES.get(name, name) for name in varying)]
    for figure in figures:
        head.append(", ".join(filter(None, (figure.title, figure.unit))))
        if figure.compared:
            head.append("×")
    table = [head]
    for group in groups(found):
        reference = base_of(case, group, base)
        for one in sorted(group, key=lambda one: _headline(case, one)):
            cells = [label(one, found), *(_value(one.parameters[name]) for name in varying)]
            for figure in figures:
                cells += _cells(figure, one, reference)
            table.append(cells)
    return table


def table(case: Case, found: CaseResult, base: str | None = None) -> Table:
    """The same for a terminal."""
    made = Table(title=_title(case, found), title_justify="left")
    head, *body = lines(case, found, base)
    count = 1 + len(_varying(found))
    for at, name in enumerate(head):
        made.add_column(name, justify="left" if at < count else "right", no_wrap=at == 0)
    first = None
    for cells in body:
        if first is not None and cells[1:count] != first:
            made.add_section()
        first = cells[1:count]
        made.add_row(*cells)
    return made


def comparison(case: Case, found: CaseResult, stored: Results, base: str | None = None) -> Table:
    """A case beside a stored run of it: ratios of ratios, the real differences marked."""
    old = stored.case(case.name)
    compared = list(differences(case, found, old, base)) if old is not None else []
    bases = ", ".join(sorted({title_of(one.base) for one in compared})) or "nothing in common"
    made = Table(
        title=f"{case.name} beside the run of {stored.taken[:10]}, × {bases}",
        caption="▲ costs more than it did, ▼ less, and further apart than the repeats are",
        title_justify="left",
    )
    varying = _varying(found)
    head = ["row", *(_NAMES.get(name, name) for name in varying), "of"]
    for at, name in enumerate([*head, "× now", "× then", "now / then", ""]):
        made.add_column(name, justify="left" if at < len(head) else "right", no_wrap=True)
    for one in compared:
        measured = Measurement(row=one.row, parameters=one.parameters)
        made.add_row(
            label(measured, found),
            *(_value(one.parameters[name]) for name in varying),
            one.figure.title,
            _ratio(one.now),
            _ratio(one.stored),
            f"{one.change:.2f}",
            "" if not one.real else "▲" if one.change > 1 else "▼",
        )
    return made


def markdown(results: Results, base: str | None = None) -> str:
    """The tables of a run for a document, each below a heading."""
    return "\n".join(_markdown(results, base))


def rows_table() -> Table:
    """The rows there are, and what is missing to run them."""
    made = Table(title="Rows", title_justify="left")
    for name in ("name", "what it is", "serves", "wires", "to install"):
        made.add_column(name)
    lacks = rows.missing(rows.ROWS.values())
    for row in rows.ROWS.values():
        serves, wires = ", ".join(sorted(row.serves)), ", ".join(row.wires)
        made.add_row(row.name, row.title, serves, wires, lacks.get(row.name, ""))
    return made


def _markdown(results: Results, base: str | None) -> Iterator[str]:
    machine = results.machine
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    pinned = "server and load generator on one each" if machine.pinned else "not pinned"
    yield f"{results.taken[:10]}, {machine.cores} cores ({pinned}), {machine.system}."
    yield f"Versions: {versions}.\n"
    for found in results.cases:
        case = CASES[found.case]
        head, *body = lines(case, found, base, details=False)
        width = len(_varying(found)) + 1
        yield f"**{_title(case, found)}.**\n"
        yield f"| {' | '.join(head)} |"
        yield f"|{'|'.join([':--'] * width + ['--:'] * (len(head) - width))}|"
        yield from (f"| {' | '.join(cells)} |" for cells in body)
        yield ""


def _title(case: Case, found: CaseResult) -> str:
    """What was run, with the parameters that all rows share."""
    varying = _varying(found)
    shared = [
        f"{name} {_value(value)}"
        for name, value in (found.measurements[0].parameters if found.measurements else {}).items()
        if name not in varying and name != "wire" and value
    ]
    return f"{case.summary} ({', '.join(shared)})" if shared else case.summary


def notes(found: CaseResult) -> list[str]:
    """What was not measured, and why: a line each."""
    said = [f"skipped {title_of(row)}: {lack}" for row, lack in found.skipped.items()]
    for one in found.measurements:
        said += [
            f"FAILED {title_of(one.row)} {_under(one.parameters)}".rstrip() + f": {why}"
            for why in one.failures
        ]
    return said


def _varying(found: CaseResult) -> list[str]:
    """The parameters that tell groups apart."""
    seen: dict[str, set[object]] = {}
    for one in found.measurements:
        for name, value in alike(one.parameters):
            seen.setdefault(name, set()).add(value)
    return [name for name, values in seen.items() if len(values) > 1]


def _taken(found: CaseResult, figure: Figure) -> bool:
    return any(one.values(figure.key) for one in found.measurements)


def _headline(case: Case, one: Measurement) -> float:
    values = one.values(case.figures[0].key)
    return spread(values).middle if values else float("inf")


def _cells(figure: Figure, one: Measurement, base: Measurement | None) -> list[str]:
    values = one.values(figure.key)
    if not values:
        return ["–", "–"] if figure.compared else ["–"]
    found = spread(values)
    cell = f"{found.middle:,.{figure.digits}f}"
    if not figure.compared:
        return [cell]
    if len(values) > 1:
        cell += f" ({found.low:,.{figure.digits}f}–{found.high:,.{figure.digits}f})"
    to_base = ratio(values, base.values(figure.key)) if base is not None else None
    return [cell, _ratio(to_base) if to_base is not None else "–"]


def _ratio(found: Spread) -> str:
    return f"{found.middle:.3g}" if found.middle >= 100 else f"{found.middle:.2f}"


def _value(value: int | float | str) -> str:
    return f"{value:,}" if isinstance(value, int | float) else value


def _under(parameters: Parameters) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in parameters.items() if value)
