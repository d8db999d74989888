from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import pytest

from lbproto.cli.client import Heard
from lbproto.cli.show import showing
from lbproto.cli.values import align, text_of
from tests.cli.conftest import Main

Shown = Callable[..., list[str]]


@pytest.fixture
def at_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shown:
    """Shows events at a terminal; what is left on the screen, without colour."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")

    def shown(*events: Heard) -> list[str]:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        with showing(as_json=False) as show:
            for event in events:
                show(event)
        return screen(capsys.readouterr().out)

    return shown


def screen(written: str) -> list[str]:
    """What a terminal makes of it: of its commands, those that move the cursor or erase a line."""
    lines, row = [""], 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", written):
        if part == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        elif part == "\x1b[1A":
            row -= 1
        elif part == "\x1b[2K":
            lines[row] = ""
        elif not part.startswith(("\x1b", "\r")):
            lines[row] += part
    return [" ".join(line.split()) for line in lines]


def update(time: str, close: float, **extensions: Any) -> Heard:
    data = {"symbol": "ACME", "open": 2.5, "high": 9.0, "low": 1.0, "close": close, "volume": 7}
    timestamp = f"2026-01-20T{time}.000Z"
    return Heard("market_chart_live_update", {**data, "timestamp": timestamp, **extensions})


def line(time: str, close: float, resolution: str = "") -> str:
    return " ".join(f"ACME {resolution} {time} O 2.5 H 9.0 L 1.0 C {close} V 7".split())


def test_an_open_candle_is_one_line_until_it_closes(at_terminal: Shown) -> None:
    closed = {"closed": True, "resolution": "1m"}
    still_open = {"closed": False, "resolution": "1m"}
    assert (
        at_terminal(
            update("12:00:00", 3.0, **still_open),
            update("12:00:00", 3.5, **still_open),
            update("12:00:00", 2.0, **closed),
            update("12:01:00", 4.0, **still_open),
            Heard("pong", {"timestamp": "now"}),
            update("12:00:00", 2.2, **closed),  # amended by a late trade
            update("12:01:00", 4.5, **still_open),
        )[:4]
        == [
            line("12:00:00", 2.0, "1m"),
            "pong timestamp=now",
            line("12:00:00", 2.2, "1m"),
            line("12:01:00", 4.5, "1m"),
        ]
    )


def test_charts_do_not_disturb_each_other(at_terminal: Shown) -> None:
    assert at_terminal(
        update("12:00:00", 3.0, resolution="1m"),
        update("12:00:07", 3.0, resolution="1s"),
        update("12:00:00", 3.5, resolution="1m"),
        update("12:00:08", 3.5, resolution="1s"),
    )[:3] == [line("12:00:07", 3.0, "1s"), line("12:00:00", 3.5, "1m"), line("12:00:08", 3.5, "1s")]


def test_a_server_without_our_extensions_never_says_that_one_closes(at_terminal: Shown) -> None:
    updates = [update("12:00:00", 3.0), update("12:00:00", 3.5), update("12:01:00", 4.0)]
    assert at_terminal(*updates)[:2] == [line("12:00:00", 3.5), line("12:01:00", 4.0)]


def test_refusals_data_of_any_kind_and_long_lines(at_terminal: Shown) -> None:
    refusal = Heard("error", {"code": "NOT_FOUND", "message": "long " * 30})
    *refused, odd, none, _ = at_terminal(refusal, Heard("odd", [1, {"a": None}]), Heard("none"))
    assert " ".join(refused) == f"error code=NOT_FOUND message={' '.join(['long'] * 30)}"
    assert odd == 'odd data=[1,{"a":null}]'
    assert none == "none data=null"


def test_what_others_have_written_does_not_steer_the_terminal() -> None:
    assert text_of("a\x1b]0;title\x07b\nc") == r"a\x1b]0;title\x07b\nc"
    assert text_of("Zoë → 東京") == "Zoë → 東京"
    assert text_of({"a": "\x9b2J"}) == r'{"a":"\x9b2J"}'


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1, 2.25, None], ["1.00", "2.25", ""]),
        ([1, 20], ["1", "20"]),
        ([1e-07, 2.5], ["1e-7", "2.5"]),
        (["a.b", 1.5, True], ["a.b", "1.5", "true"]),
    ],
)
def test_the_numbers_of_a_column_get_as_many_decimals(values: list[Any], texts: list[str]) -> None:
    assert align(values) == texts


def test_the_version(run_here: Main) -> None:
    done = run_here("--version")
    assert re.fullmatch(r"lbproto \d+\.\d+\.\d+\S*\n", done.out)
    assert done.code == 0


@pytest.mark.parametrize("command", ["demo", "serve", "call", "listen", "bench", "events"])
def test_every_command_explains_itself(run_here: Main, command: str) -> None:
    assert run_here(command, "--help").code == 0
    assert run_here(command, "--no-such-option").code == 2


def progress(pct: float) -> Heard:
    return Heard("dig_progress", {"jobId": "j", "pct": pct})


def test_how_far_it_is_stays_at_the_bottom_while_it_runs(at_terminal: Shown) -> None:
    started = Heard("dig_started", {"jobId": "j"})
    (*_, last) = filter(None, at_terminal(started, progress(10), progress(62.5)))
    assert last.endswith("62 %")
    lines = at_terminal(
        started, progress(10), progress(100), Heard("dig_completed", {"jobId": "j"})
    )
    assert [line for line in lines if line] == ["dig_started jobId=j", "dig_completed jobId=j"]


def test_of_many_rows_a_terminal_shows_the_first(at_terminal: Shown) -> None:
    schema = [{"name": "n", "type": "INTEGER"}]
    rows = [[number] for number in range(1_500)]
    lines = at_terminal(Heard("dig_response", {"rows": rows, "schema": schema}))
    assert lines[3:6] == ["0", "1", "2"]
    assert "39" in lines
    assert "40" not in lines
    assert "and 1,460 more rows: --json prints all of them" in lines
