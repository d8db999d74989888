"""What a case is: a list of points, a way to measure one, and what is worth telling of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product

from benchmarks import rows
from benchmarks.dialects import dialect
from benchmarks.figures import NOISE, Figure
from benchmarks.options import Options
from benchmarks.results import Parameters
from benchmarks.servers import Running, running
from lbproto.load import Crowd, FanOut, Requests

__all__ = [
    "CPU",
    "Case",
    "CountsDiffer",
    "Plan",
    "Point",
    "Taken",
    "check_fan_out",
    "crowd_of",
    "figures_of",
    "plan_rows",
]

PAYLOAD = 190
"""Bytes of an event, where a case has none of its own."""


class CountsDiffer(Exception):
    """Not everything arrived that was to, or more did; the message says what."""


@dataclass(frozen=True)
class Point:
    """One thing to measure: a row, under some parameters."""

    row: str
    parameters: Parameters


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        points: in the order of tables.
        skipped: rows that cannot be run, each with what is missing.
    """

    points: list[Point]
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Taken:
    """What a measurement has found.

    Attributes:
        figures: by name.
        series: figures over time.
        failure: what was wrong all the same; the figures are kept, to see why.
    """

    figures: dict[str, float]
    series: dict[str, list[float]] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True)
class Case:
    """One file of this folder.

    Attributes:
        name: what it is called on the command line.
        summary: what is run and what is counted, in a sentence.
        figures: what is shown, the headline first.
        plan: what there is to measure.
        measure: measures one point. What it raises is told as the point's failure.
        bases: rows to compare with, the best known first; the first that was run is taken. Where
            none was, the cheapest that is not ours.
        noise: how far two runs of the same lie apart, as a share.
    """

    name: str
    summary: str
    figures: Sequence[Figure]
    plan: Callable[[Options], Plan]
    measure: Callable[[Point, Options], Taken]
    bases: Sequence[str] = ("c",)
    noise: float = NOISE


CPU = Figure("cpu_us", "CPU per delivery", "µs", compared=True)
"""What a server was on a core for one of whatever it did."""


def plan_rows(
    what: str,
    options: Options,
    parameters: Mapping[str, Sequence[int | float]],
    *,
    left_out: Sequence[str] = (),
    quick: Sequence[str] = (),
) -> Plan:
    """Every row that serves something, on the wires that were asked for, at every combination.

    Args:
        what: what it serves.
        parameters: the values of each.
        left_out: rows that are only run when they are asked for.
        quick: those that are run when it has to be quick; empty for all.
    """
    serving = rows.serving(what, options.rows)
    if options.rows is None:
        serving = [row for row in serving if row.name not in left_out]
        if options.quick and quick:
            serving = [row for row in serving if row.name in quick]
    lacks = rows.missing(serving)
    points = [
        Point(row.name, {**dict(zip(parameters, values, strict=True)), "wire": wire})
        for values in product(*parameters.values())
        for row in serving
        if row.name not in lacks
        for wire in row.wires_of(options.wires)
    ]
    return Plan(points, lacks)


@contextmanager
def crowd_of(point: Point, *, stalled: int = 0) -> Iterator[tuple[Running, Crowd]]:
    """The server of a point, and its clients, yet to be connected.

    Raises:
        ServerFailed: it does not start.
        LoadError: there cannot be so many clients.
    """
    given = point.parameters
    spoken = dialect(str(given["wire"]), int(given.get("payload", PAYLOAD)))
    with running(rows.ROWS[point.row]) as server:
        clients = int(given["clients"])
        with Crowd(server.url, spoken, clients, stalled=stalled, process=server.process) as crowd:
            yield server, crowd


def figures_of(measured: FanOut | Requests) -> dict[str, float]:
    """What every measurement with a crowd tells.

    Raises:
        CountsDiffer: the system does not tell what the server used.
    """
    used = measured.server
    if measured.cpu_us is None or used is None:
        raise CountsDiffer("what the server used is not known: that takes Linux")
    found = {
        "cpu_us": measured.cpu_us,
        "per_second": measured.per_second,
        "server_share": used.on_cpu / measured.seconds,
        "generator_share": measured.generator / measured.seconds,
        "fewest": float(measured.fewest),
        "most": float(measured.most),
    }
    for name in ("p50", "p90", "p99", "max"):
        value = getattr(measured, name)
        if value is not None:
            found[f"{name}_ms"] = value
    return found


def check_fan_out(seen: FanOut) -> None:
    """Refuse figures of which something is missing, or of which there is too much.

    Raises:
        CountsDiffer: there is.
    """
    if not seen.deliveries or seen.lost or seen.surplus:
        raise CountsDiffer(
            f"{seen.deliveries:,} deliveries of {seen.expected:,}: {seen.lost:,} lost, "
            f"{seen.surplus:,} too many"
        )
