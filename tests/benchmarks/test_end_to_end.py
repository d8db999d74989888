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


def test_a_soak_seeks_its_pace_and_compares_its_thirds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stored, drawn = tmp_path / "run.json", tmp_path / "plots"
    asked = ["soak", "--quick", "--load", "0.3", "--json", str(stored), "--plot", str(drawn)]
    assert main(asked) == 0, capsys.readouterr().out
    (found,) = load(stored).cases
    (one,) = found.measurements
    (repeat,) = one.repeats
    assert repeat["rate"] > 0
    assert 0 < repeat["found_share"] < 1
    assert 0 < repeat["p99_first_ms"] <= max(one.series["p99_ms"])
    assert "p99_last_ms" in repeat
    assert "flat" not in repeat  # that takes longer
    assert (drawn / "soak-lbproto.png").exists()
    told = capsys.readouterr().out
    assert f"the pace is {repeat['rate']:.1f} events/s" in told
    assert "too short to tell" in told


@pytest.mark.parametrize("load", ["0", "-1", "0.9"])
def test_a_load_that_is_no_share_of_a_core_is_told(
    load: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["soak", "--load", load])
    assert f"{load} is not above 0 and at most 0.8" in capsys.readouterr().err


def test_a_wrong_row_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fanout", "--rows", "cobol"]) == 2
    assert "there is no row 'cobol'" in capsys.readouterr().out
