"""A soak: hours in the small. Does the server stay as it is under a steady load?

A closed loop shows first what the server manages with this load generator; then events are sent at
a share of that pace, while a share of the clients comes and goes each second (`benchmarks.churn`;
those that are measured stay, and each has to get every event). Every ten seconds are a measurement:
memory, delay, deliveries and CPU time of the server. What they do after the server has settled
tells whether it is flat.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import median

import msgspec

from benchmarks.cases.base import (
    Case,
    CountsDiffer,
    Plan,
    Point,
    Taken,
    check_fan_out,
    crowd_of,
    plan_rows,
)
from benchmarks.churn import Churned
from benchmarks.dialects import ROOM
from benchmarks.figures import Figure, slope
from benchmarks.needs import ROOT
from benchmarks.options import Options
from benchmarks.servers import Running
from lbproto.load import Crowd, FanOut, fan_out, paced

__all__ = ["SOAK", "Trend", "trends"]

_CLIENTS = (1_000,)
_CLOSED_SECONDS = 5.0
_SLICE_SECONDS = 10.0
_LEAST_SLICES = 5
# A lost session is kept for 120 s, and so is the log: until then memory has to grow.
_SETTLED_SECONDS = 150.0
_HOUR = 3600.0


@dataclass(frozen=True)
class Trend:
    """How one figure went.

    Attributes:
        key: of the series.
        title: for a reader.
        unit: of the figure.
        most: by what share of its median it may grow from the first slice to the last.
        per_hour: its slope.
        share: what it grew by in the time looked at, as a share of its median.
    """

    key: str
    title: str
    unit: str
    most: float
    per_hour: float = 0.0
    share: float = 0.0

    @property
    def flat(self) -> bool:
        """Whether it stayed as it was."""
        return self.share <= self.most

    def __str__(self) -> str:
        verdict = "flat" if self.flat else "NOT FLAT"
        grown = f"{self.per_hour:+,.2f} {self.unit} an hour ({self.share:+.1%})"
        return f"{self.title}: {grown}, {verdict}"


_WATCHED = (
    Trend("rss_mib", "memory", "MiB", most=0.02),
    Trend("p50_ms", "p50", "ms", most=0.2),
    Trend("p99_ms", "p99", "ms", most=0.3),
    Trend("server_share", "server", "cores", most=0.1),
)


def trends(series: dict[str, list[float]]) -> list[Trend]:
    """What the slices say, of the time after the server had settled.

    Where that is less than half of the run, the second half is looked at.
    """
    seconds = series["seconds"]
    begin = min(_SETTLED_SECONDS, seconds[-1] / 2)
    kept = [at for at, moment in enumerate(seconds) if moment >= begin]
    times = [seconds[at] for at in kept]
    found = []
    for watched in _WATCHED:
        values = [series[watched.key][at] for at in kept]
        by_second, level = slope(times, values), median(values)
        share = by_second * (times[-1] - times[0]) / level if level else 0.0
        found.append(replace(watched, per_hour=by_second * _HOUR, share=share))
    return found


def _plan(options: Options) -> Plan:
    parameters = {
        "clients": options.clients or _CLIENTS,
        "payload": options.payload,
        "minutes": (options.minutes,),
        "load": (options.load,),
        "churn": (options.churn,),
    }
    plan = plan_rows("fan-out", options, parameters)
    if options.rows is None:
        return Plan([point for point in plan.points if point.row == "lbproto"])
    return plan


@contextmanager
def _churning(server: Running, point: Point) -> Iterator[Churned]:
    """Have clients come and go while the body runs; then, what became of them."""
    clients, share = int(point.parameters["clients"]), float(point.parameters["churn"])
    churned = Churned()
    if not share:
        yield churned
        return
    number = max(1, round(clients * share))
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "benchmarks.churn"),
            *(server.url, str(point.parameters["wire"]), str(number)),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    try:
        yield churned
    finally:
        process.terminate()
        said, _ = process.communicate()
    told = msgspec.json.decode(said, type=Churned) if said else churned
    churned.came, churned.failures, churned.last = told.came, told.failures, told.last


def _measure(point: Point, options: Options) -> Taken:
    clients = int(point.parameters["clients"])
    with crowd_of(point) as (server, crowd):
        crowd.connect()
        crowd.subscribe(ROOM)
        closed = fan_out(crowd, seconds=min(_CLOSED_SECONDS, options.seconds), warm=options.warm)
        check_fan_out(closed)
        rate = float(point.parameters["load"]) * closed.per_second / clients
        print(
            f"a closed loop: {closed.per_second:,.0f} deliveries/s, the load generator "
            f"{closed.generator / closed.seconds:.0%} busy; now {rate:.1f} events/s to {clients:,}",
            flush=True,
        )
        with _churning(server, point) as churned:
            series = _slices(crowd, rate, float(point.parameters["minutes"]) * 60)
    return _told(series, closed, churned)


def _slices(crowd: Crowd, rate: float, seconds: float) -> dict[str, list[float]]:
    series: dict[str, list[float]] = {}
    begin = time.monotonic()
    length = min(_SLICE_SECONDS, seconds / _LEAST_SLICES)
    while (at := time.monotonic() - begin) < seconds:
        seen = paced(crowd, rate=rate, seconds=length, warm=0.0)
        used = seen.server
        if used is None:
            raise CountsDiffer("what the server used is not known: that takes Linux")
        figures = {
            "seconds": at + length,
            "rss_mib": used.resident / 1024**2,
            "p50_ms": seen.p50 or 0.0,
            "p99_ms": seen.p99 or 0.0,
            "per_second": seen.per_second,
            "server_share": used.on_cpu / seen.seconds,
            "lost": float(seen.lost + seen.surplus),
        }
        for name, value in figures.items():
            series.setdefault(name, []).append(value)
        print(
            f"{figures['seconds']:6.0f} s  {figures['rss_mib']:7.1f} MiB  "
            f"p50 {figures['p50_ms']:6.2f}  p99 {figures['p99_ms']:7.2f} ms  "
            f"{figures['per_second']:9,.0f}/s  {figures['server_share']:4.0%} of a core"
            + (f"  {figures['lost']:.0f} LOST" if figures["lost"] else ""),
            flush=True,
        )
    return series


def _told(series: dict[str, list[float]], closed: FanOut, churned: Churned) -> Taken:
    found = trends(series)
    print(*found, sep="\n")
    if series["seconds"][-1] < 2 * _SETTLED_SECONDS:
        print(f"too short to tell: a server settles after {_SETTLED_SECONDS:.0f} s")
    print(f"{churned.came:,} clients came and went, {churned.failures:,} times it failed")
    failure = f"clients could not come, at last: {churned.last}" if churned.failures else ""
    if lost := sum(series["lost"]):
        failure = f"{lost:,.0f} deliveries were lost, or came twice"
    figures = {
        "rss_mib": series["rss_mib"][-1],
        "p50_ms": median(series["p50_ms"]),
        "p99_ms": median(series["p99_ms"]),
        "per_second": median(series["per_second"]),
        "server_share": median(series["server_share"]),
        "closed_per_second": closed.per_second,
        "churned": float(churned.came),
        "flat": float(all(trend.flat for trend in found)),
    }
    slopes = {f"{trend.key}_per_hour": trend.per_hour for trend in found}
    return Taken(figures | slopes, series, failure)


SOAK = Case(
    name="soak",
    summary="A steady load with clients that come and go: whether anything grows",
    figures=(
        Figure("rss_mib", "memory at the end", "MiB", digits=1),
        Figure("rss_mib_per_hour", "memory", "MiB/h", digits=1),
        Figure("p50_ms", "p50", "ms"),
        Figure("p99_ms", "p99", "ms"),
        Figure("per_second", "deliveries", "/s", digits=0),
        Figure("server_share", "server", "cores", detail=True),
        Figure("flat", "flat (1) or not (0)", "", digits=0),
    ),
    plan=_plan,
    measure=_measure,
)
