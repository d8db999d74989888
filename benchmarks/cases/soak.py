"""A soak: hours in the small. Does the server stay as it is under a steady load?

First the pace is sought at which the server uses the share of a core that was asked for
(`benchmarks.pace`). Then events are sent at that pace. All the while a share of the clients comes
and goes each second (`benchmarks.churn`); those that are measured stay, and each has to get every
event. Every ten seconds are a window: memory, delay, deliveries and CPU time of the server. What
they do after the server has settled tells whether it is flat (`benchmarks.trends`).
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
from benchmarks.figures import Figure
from benchmarks.needs import ROOT
from benchmarks.options import Options
from benchmarks.pace import CLOSE, Pace, find_pace
from benchmarks.servers import Running
from benchmarks.trends import SETTLED_SECONDS, settles, trends
from lbproto.load import Crowd, FanOut, paced

__all__ = ["SOAK"]

_CLIENTS = (1_000,)
_TRY_SECONDS = 2.0  # of churn's seconds a whole number, since clients come at the start of each
_TRIES, _QUICK_TRIES = 12, 2
_FIRST_DELIVERIES = 2_000  # a second, at the first try: the slowest peer manages several times that
_LATE_SECONDS = 0.25  # for the last deliveries of a pace that is kept up
_FULL = 0.9  # of the time: who has a core, or waits for one, for so long has none to spare
_BUSY = 0.05  # of the time waited for a core: then the machine does other things, too
_SLICE_SECONDS = 10.0
_LEAST_SLICES = 5


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
    with crowd_of(point) as (server, crowd):
        crowd.connect()
        crowd.subscribe(ROOM)
        with _churning(server, point) as churned:
            pace = _find_pace(crowd, point, options)
            series = _slices(crowd, pace.rate, float(point.parameters["minutes"]) * 60)
    return _told(series, pace, churned)


def _find_pace(crowd: Crowd, point: Point, options: Options) -> Pace:
    clients, load = int(point.parameters["clients"]), float(point.parameters["load"])
    length = min(_TRY_SECONDS, options.seconds)

    def attempt(rate: float) -> Pace:
        seen = paced(crowd, rate=rate, seconds=length, warm=0.0)
        check_fan_out(seen)
        used, waited = _shares(seen)
        in_time, spare = seen.seconds <= length + _LATE_SECONDS, used + waited < _FULL
        print(
            f"{rate:9.1f} events/s to {clients:,}: the server uses {used:4.0%} of a core"
            f"{_waited(waited)}, the load generator {seen.generator / seen.seconds:4.0%}"
            f"{'' if spare else ', NO TIME TO SPARE'}{'' if in_time else ', LATE'}",
            flush=True,
        )
        return Pace(rate, used, in_time and spare)

    start = max(1.0, _FIRST_DELIVERIES / clients)
    attempt(start)  # does not count: what is done for the first time takes longer
    tries = _QUICK_TRIES if options.quick else _TRIES
    pace = find_pace(attempt, load, start=start, tries=tries)
    if not pace.kept:
        raise CountsDiffer(
            f"the server does not keep up with even {pace.rate:.1f} events/s to {clients:,}"
        )
    off = "" if abs(pace.share - load) <= CLOSE else f": {load:.0%} WERE NOT FOUND, this is nearest"
    print(f"the pace is {pace.rate:.1f} events/s, {pace.share:.0%} of a core{off}", flush=True)
    return pace


def _slices(crowd: Crowd, rate: float, seconds: float) -> dict[str, list[float]]:
    series: dict[str, list[float]] = {}
    begin = time.monotonic()
    length = min(_SLICE_SECONDS, seconds / _LEAST_SLICES)
    while (at := time.monotonic() - begin) < seconds:
        seen = paced(crowd, rate=rate, seconds=length, warm=0.0)
        used, waited = _shares(seen)
        figures = {
            "seconds": at + length,
            "rss_mib": seen.server.resident / 1024**2 if seen.server is not None else 0.0,
            "p50_ms": seen.p50 or 0.0,
            "p99_ms": seen.p99 or 0.0,
            "per_second": seen.per_second,
            "server_share": used,
            "waited_share": waited,
            "lost": float(seen.lost + seen.surplus),
        }
        for name, value in figures.items():
            series.setdefault(name, []).append(value)
        print(
            f"{figures['seconds']:6.0f} s  {figures['rss_mib']:7.1f} MiB  "
            f"p50 {figures['p50_ms']:6.2f}  p99 {figures['p99_ms']:7.2f} ms  "
            f"{figures['per_second']:9,.0f}/s  {used:4.0%} of a core{_waited(waited)}"
            + (f"  {figures['lost']:.0f} LOST" if figures["lost"] else ""),
            flush=True,
        )
    return series


def _shares(seen: FanOut) -> tuple[float, float]:
    """Of the time: that the server was on a core, and that it waited for one."""
    if seen.server is None:
        raise CountsDiffer("what the server used is not known: that takes Linux")
    return seen.server.on_cpu / seen.seconds, seen.server.waited / seen.seconds


def _waited(share: float) -> str:
    return f" (and waited {share:.0%} of the time for it)" if share > _BUSY else ""


def _told(series: dict[str, list[float]], pace: Pace, churned: Churned) -> Taken:
    found = trends(series)
    print(*found.values(), sep="\n")
    told = settles(series["seconds"][-1])
    if not told:
        print(f"too short to tell: memory has to grow until it settles, {SETTLED_SECONDS:.0f} s")
    print(f"{churned.came:,} clients came and went, {churned.failures:,} times it failed")
    failure = f"clients could not come, at last: {churned.last}" if churned.failures else ""
    if lost := sum(series["lost"]):
        failure = f"{lost:,.0f} deliveries were lost, or came twice"
    figures = {
        "rss_mib": series["rss_mib"][-1],
        "p50_ms": median(series["p50_ms"]),
        "p99_ms": median(series["p99_ms"]),
        "p99_first_ms": found["p99_ms"].first.middle,
        "p99_last_ms": found["p99_ms"].last.middle,
        "per_second": median(series["per_second"]),
        "server_share": median(series["server_share"]),
        "waited_share": median(series["waited_share"]),
        "rate": pace.rate,
        "found_share": pace.share,
        "churned": float(churned.came),
    }
    if told:
        figures["flat"] = float(all(trend.flat for trend in found.values()))
    slopes = {f"{key}_per_hour": trend.per_hour for key, trend in found.items()}
    return Taken(figures | slopes, series, failure)


SOAK = Case(
    name="soak",
    summary="A steady load with clients that come and go: whether anything grows",
    figures=(
        Figure("rss_mib", "memory at the end", "MiB", digits=1),
        Figure("rss_mib_per_hour", "memory", "MiB/h", digits=1),
        Figure("p50_ms", "p50", "ms"),
        Figure("p99_ms", "p99", "ms"),
        Figure("p99_first_ms", "in the first third", "ms"),
        Figure("p99_last_ms", "in the last", "ms"),
        Figure("rate", "pace", "/s", digits=1),
        Figure("found_share", "found at", "cores"),
        Figure("server_share", "server", "cores"),
        Figure("waited_share", "waited for it", "of the time", detail=True),
        Figure("per_second", "deliveries", "/s", digits=0),
        Figure("flat", "flat (1) or not (0)", "", digits=0),
    ),
    plan=_plan,
    measure=_measure,
)
