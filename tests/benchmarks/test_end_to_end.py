"""The suite as it is run, against servers that are started for it."""

from pathlib import Path

import pytest

from benchmarks.cli import main
from benchmarks.results import load


@pytest.mark.parametrize(
    ("command", "counted"), [("fanout", "deliveries"), ("request", "requests")]
)
def test_a_quick_run_of_us_and_a_peer(
    command: str, counted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = tmp_path / "run.json"
    asked = [command, "--quick", "--rows", "lbproto,websockets", "--wire", "socketio,plain"]
    assert main([*asked, "--json", str(stored)]) == 0, capsys.readouterr().out
    (found,) = load(stored).cases
    assert [(one.row, one.parameters["wire"]) for one in found.measurements] == [
        ("lbproto", "socketio"),
        ("lbproto", "plain"),
        ("websockets", "text"),
    ]
    for one in found.measurements:
        (repeat,) = one.repeats
        assert repeat[counted] >= 20
        assert repeat["fewest"] > 0
        assert repeat["cpu_us"] > 0
    assert "lbproto, plain" in capsys.readouterr().out


def test_a_stored_run_is_shown_compared_and_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored, drawn, tables = tmp_path / "run.json", tmp_path / "plots", tmp_path / "tables.md"
    assert main(["request", "--quick", "--rows", "websockets", "--json", str(stored)]) == 0
    shown = ["show", str(stored), "--compare", str(stored), "--plot", str(drawn)]
    assert main([*shown, "--markdown", str(tables)]) == 0
    assert (drawn / "request.png").stat().st_size < 100_000
    assert "| websockets |" in tables.read_text()


def test_a_wrong_row_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fanout", "--rows", "cobol"]) == 2
    assert "there is no row 'cobol'" in capsys.readouterr().out
