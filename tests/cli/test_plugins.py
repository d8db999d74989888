"""Commands that plugins add."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Main


@pytest.fixture
def installed(run_here: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Main:
    """Runs commands where a distribution is installed that adds some."""
    (tmp_path / "weather-1.0.dist-info").mkdir()
    (tmp_path / "weather-1.0.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: weather\nVersion: 1.0\nSummary: The sky, foretold.\n"
    )
    (tmp_path / "weather-1.0.dist-info/entry_points.txt").write_text(
        "[lbproto.commands]\n"
        "weather = weather_of_a_test:commands\n"
        "broken = weather_of_a_test:missing\n"
        "events = weather_of_a_test:commands\n"
    )
    (tmp_path / "weather_of_a_test.py").write_text(
        "import typer\n"
        "from lbproto import UsageError\n"
        "commands = typer.Typer(help='What the sky does.')\n"
        "@commands.command()\n"
        "def now(): typer.echo('rain')\n"
        "@commands.command()\n"
        "def tomorrow(): raise UsageError('nobody knows: ask again tomorrow')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "weather_of_a_test", raising=False)
    return run_here


def test_a_plugin_adds_a_command(installed: Main) -> None:
    done = installed("weather", "now")
    assert (done.code, done.out, done.err) == (0, "rain\n", "")
    assert "What the sky does." in installed("weather", "--help").out


def test_what_it_cannot_do_is_told_in_a_sentence(installed: Main) -> None:
    done = installed("weather", "tomorrow")
    assert (done.code, done.err) == (2, "lbproto: nobody knows: ask again tomorrow\n")


def test_a_broken_one_is_told_when_it_is_named(installed: Main) -> None:
    done = installed("broken")
    assert done.code == 2
    assert "AttributeError" in done.err
    assert "lbproto: the command 'broken' of a plugin (weather_of_a_test:missing) fails" in done.err


def test_lbproto_keeps_its_own_names_and_help_lists_all(installed: Main) -> None:
    done = installed("--help")
    assert done.code == 0
    assert "List the events and rooms of a server." in done.out
    assert "The sky, foretold." in done.out
    assert "broken" in done.out
    assert "weather_of_a_test" not in sys.modules


def test_there_is_no_such_command(installed: Main) -> None:
    done = installed("whether")
    assert done.code == 2
    assert "No such command 'whether'" in done.err
