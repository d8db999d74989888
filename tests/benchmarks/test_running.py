import shutil
from collections import Counter
from dataclasses import replace

import pytest

from benchmarks import needs, rows
from benchmarks.cases.base import CountsDiffer, Plan, Point, Taken, check_fan_out, plan_rows
from benchmarks.options import Options
from benchmarks.running import order, run
from lbproto.load import FanOut
from tests.benchmarks.made import case

ABSENT = needs.package("a_package_that_nobody_has", "its-name")


def test_a_peer_that_is_absent_is_skipped_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    absent = replace(rows.ROWS["picows"], needs=(ABSENT,))
    monkeypatch.setitem(rows.ROWS, "picows", absent)
    plan = plan_rows("fan-out", Options(rows=("picows",)), {"clients": (1,)})
    assert plan == Plan([], {"picows": "`uv pip install its-name`"})
    told: list[str] = []
    seen = run(replace(case(), plan=lambda _: plan), Options(repeats=2), told.append)
    assert told == ["skipped  picows: `uv pip install its-name`"]
    assert not seen.failed


def test_node_and_its_modules_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert needs.node("ws")() == "install Node.js"
    assert needs.compiler() == "install a C compiler, as `cc`"
    monkeypatch.setattr(shutil, "which", lambda _: "/usr/bin/it")
    assert needs.node("no-such-module")() == "`npm install` in tests/node"


def test_a_row_that_there_is_not_is_told() -> None:
    with pytest.raises(rows.UnknownRow, match=r"no row 'cobol'; there are lbproto, "):
        plan_rows("fan-out", Options(rows=("cobol",)), {})


def test_every_combination_is_planned_on_the_wires_asked_for() -> None:
    options = Options(rows=("lbproto", "websockets"), wires=("plain", "socketio"))
    plan = plan_rows("fan-out", options, {"clients": (1, 2)})
    assert [(point.row, *point.parameters.values()) for point in plan.points] == [
        ("lbproto", 1, "plain"),
        ("lbproto", 1, "socketio"),
        ("websockets", 1, "text"),
        ("lbproto", 2, "plain"),
        ("lbproto", 2, "socketio"),
        ("websockets", 2, "text"),
    ]


def test_rows_are_shuffled_among_those_they_are_compared_with() -> None:
    points = [
        Point(f"row {row}", {"clients": clients, "wire": "text"})
        for clients in (1, 2)
        for row in range(9)
    ]
    first, second = order(points, 0), order(points, 1)
    assert first != second
    assert [point.parameters["clients"] for point in first] == [1] * 9 + [2] * 9
    assert Counter(point.row for point in first) == Counter(point.row for point in points)


def test_a_failure_is_told_and_ends_nothing() -> None:
    points = [Point("a", {}), Point("b", {})]

    def measure(point: Point, options: Options) -> Taken:
        if point.row == "a":
            raise CountsDiffer("2 deliveries of 3")
        return Taken({"cpu_us": 1.5}, {"seconds": [0.0]})

    failing = replace(case(), plan=lambda _: Plan(points), measure=measure)
    told: list[str] = []
    seen = run(failing, Options(repeats=2), told.append)
    assert seen.failed
    broken, sound = seen.measurements
    assert broken.failures == ["2 deliveries of 3"] * 2
    assert sound.values("cpu_us") == [1.5, 1.5]
    assert sound.series == {"seconds": [0.0]}
    assert "fanout 1/2  a: FAILED: 2 deliveries of 3" in told
    assert "fanout 2/2  b: CPU 1.50 µs" in told


def test_a_failure_that_has_figures_keeps_them() -> None:
    taken = Taken({"cpu_us": 1.5}, failure="3 deliveries were lost")
    failing = replace(case(), plan=lambda _: Plan([Point("a", {})]), measure=lambda *_: taken)
    seen = run(failing, Options(repeats=1), lambda _: None)
    assert seen.failed
    assert seen.measurements[0].values("cpu_us") == [1.5]


@pytest.mark.parametrize(("lost", "surplus", "deliveries"), [(1, 0, 9), (0, 1, 11), (0, 0, 0)])
def test_counts_have_to_be_right(lost: int, surplus: int, deliveries: int) -> None:
    seen = FanOut(
        clients=1,
        seconds=1.0,
        deliveries=deliveries,
        expected=10,
        triggers=10,
        events=1,
        fewest=deliveries,
        most=deliveries,
        lost=lost,
        surplus=surplus,
    )
    with pytest.raises(CountsDiffer):
        check_fan_out(seen)
