"""`lbproto compliance`, as its users start it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from lbproto.cli import main


class Done(NamedTuple):
    code: object
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["lbproto", "compliance", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        return Done(end.value.code, *capsys.readouterr())

    return run


AT = ("--height", 481_824, "--time", "2017-08-24T01:57:37")


def test_a_block_is_imported_and_shown(run: Run, tmp_path: Path, block_file: Path) -> None:
    into = ("--chain", "bitcoin", "--into", tmp_path / "data")
    done = run("import", block_file, *into, *AT)
    assert (done.code, done.err) == (0, "")
    first, last = done.out.splitlines()
    assert first.startswith("bitcoin_block.parquet (")
    assert first.endswith("): 9,317 rows, 0 set aside")
    assert last.endswith(", block 481,824, 9,317 new")
    done = run("import", block_file, *into, *AT, "--json")
    again = json.loads(done.out)
    assert (again["added"], again["heights"]) == (0, [481_824, 481_824])
    done = run("show", tmp_path / "data", "--json")
    shown = json.loads(done.out)
    assert (shown["latest"], shown["snapshot"]) == (True, again["snapshot"])
    assert shown["rows"]["coins"] == shown["imported"][0]["rows"] == 9_317
    done = run("show", tmp_path / "data")
    assert f"snapshot {again['snapshot']} (latest), block 481,824: 9,317 coins" in done.out
    done = run("prune", tmp_path / "data")
    assert done.out == "bitcoin: 0 snapshots and 0 files removed, 0.0 MB\n"


def test_rows_set_aside_are_shown(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "moves.csv"
    path.write_text("from_address,to_address,value\n" + "\x1b[31m,,1\n" * 7 + f"0x{'a' * 40},,5\n")
    into = ("--chain", "ethereum", "--into", tmp_path / "data")
    done = run("import", path, *into, *AT)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].endswith(": 1 rows, 7 set aside")
    assert lines[1] == r"  line 2: from_address is not an address: '\x1b[31m'"
    assert lines[6] == "  and 2 more"
    assert "1 transfers, 7 set aside" in run("show", tmp_path / "data").out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("missing.csv",), "cannot read missing.csv: No such file or directory"),
        (("missing.csv", "--chain", "doge"), "there is no such chain: bitcoin"),
        (("x.csv", "--height", 5), "--height and --time go together"),
        (("missing.yaml",), "missing.yaml"),
        (("missing.xml",), "missing.xml"),
        (("http://127.0.0.1:1", "--chain", "tron"), "tron is not one of ethereum"),
    ],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[object, ...],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("import", "--chain", "bitcoin", "--into", tmp_path, *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("lbproto: ")
    assert told in done.err
    assert done.err.count("\n") == 1


def test_progress_is_shown_on_a_terminal(tmp_path: Path) -> None:
    screen, terminal = pty.openpty()
    moves = tmp_path / "moves.csv"
    moves.write_text(f"from_address,to_address,value\n,0x{'1' * 40},7\n0x{'1' * 40},,7\n")
    command = ("import", moves, "--chain", "ethereum", "--into", tmp_path, *AT)
    with subprocess.Popen(
        [sys.executable, "-m", "lbproto.cli", "compliance", *map(str, command)],
        stderr=terminal,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"},
    ):
        os.close(terminal)
        shown = b""
        with suppress(OSError):  # the end of a terminal
            while piece := os.read(screen, 65536):
                shown += piece
    os.close(screen)
    assert b"moves.csv" in shown
    assert b"100%" in shown
    assert b"2 rows" in shown
    assert b"the graph" in shown


def test_help_is_of_the_commands_alone(run: Run) -> None:
    done = run("--help")
    assert done.code == 0
    assert "import" in done.out
    assert "completion" not in done.out


def test_an_empty_directory_is_told(run: Run, tmp_path: Path) -> None:
    done = run("show", tmp_path)
    assert (done.code, done.err) == (2, f"lbproto: nothing has been imported into {tmp_path}\n")
