from io import StringIO

from rich.console import Console, RenderableType

from benchmarks import report
from tests.benchmarks.made import case, found, measured, results


def rendered(table: RenderableType) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(table)
    output = console.file
    assert isinstance(output, StringIO)
    return output.getvalue()


def test_the_cheapest_is_first_and_has_its_ratio() -> None:
    run = found(measured("node-ws", [8.0, 10.0, 9.0]), measured("c", [4.0, 5.0, 3.0]))
    assert report.lines(case("c"), run) == [
        ["row", "CPU, µs", "×", "rate, /s"],
        ["C, one send per frame", "4.00 (3.00–5.00)", "1.00", "250,000.00"],
        ["Node ws", "9.00 (8.00–10.00)", "2.00", "111,111.11"],
    ]


def test_what_varies_has_a_column() -> None:
    run = found(measured("c", [4.0]), measured("c", [5.0], clients=1_000))
    head, *body = report.lines(case("c"), run)
    assert head[:2] == ["row", "N"]
    assert [cells[1] for cells in body] == ["100", "1,000"]


def test_a_row_of_several_wires_is_told_with_its_wire() -> None:
    run = found(
        measured("lbproto", [1.0], wire="plain"),
        measured("lbproto", [2.0], wire="socketio"),
        measured("c", [4.0]),
    )
    assert [cells[0] for cells in report.lines(case("c"), run)[1:]] == [
        "lbproto, plain",
        "lbproto, socketio",
        "C, one send per frame",
    ]


def test_what_failed_and_what_was_skipped_is_told() -> None:
    broken = measured("node-ws", [])
    broken.failures.append("2 deliveries of 3")
    run = found(measured("c", [4.0]), broken, skipped={"picows": "`uv pip install picows`"})
    assert report.notes(run) == [
        "skipped picows: `uv pip install picows`",
        "FAILED Node ws clients 100, events 1, wire text: 2 deliveries of 3",
    ]
    assert run.failed


def test_a_comparison_marks_what_is_real() -> None:
    now = found(measured("lbproto", [6.0, 6.2]), measured("c", [4.0, 4.1]))
    then = results(found(measured("lbproto", [2.0, 2.1]), measured("c", [4.0, 4.1])))
    text = rendered(report.comparison(case("c"), now, then))
    assert "2026-01-02" in text
    (row,) = [line for line in text.splitlines() if "lbproto" in line]
    assert "▲" in row


def test_a_comparison_with_a_run_of_something_else_is_empty() -> None:
    text = rendered(report.comparison(case("c"), found(measured("c", [1.0])), results()))
    assert "nothing in common" in text


def test_markdown_leaves_out_what_only_helps_to_judge() -> None:
    run = found(measured("lbproto", [2.0]), measured("c", [4.0]))
    run.measurements[0].repeats[0]["server_share"] = 0.5
    text = report.markdown(results(run))
    assert "| lbproto | 2.00 | 0.50 | 500,000 |" in text
    assert "server" not in text.splitlines()[4]


def test_the_rows_are_listed() -> None:
    text = rendered(report.rows_table())
    assert "python-socketio" in text
    assert "C, one send per frame" in text
