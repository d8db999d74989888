from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Main

PROGRAM = """
from lbproto import Context, Event, Plugin, Server, StaticTokens


class Greet(Event):
    "Say hello."

    name: str
    loud: bool = False


plugin = Plugin("hello")


@plugin.on(Greet)
async def greet(ctx: Context, request: Greet) -> None: ...


@plugin.room("lobby[{floor}]")
async def lobby(ctx: Context, floor: str) -> None: ...


server = Server([plugin], auth=StaticTokens({}))


async def app(scope, receive, send): ...
"""


def test_the_demos_events_are_a_table(run_here: Main) -> None:
    done = run_here("events")
    lines = [line.split() for line in done.out.splitlines()]
    assert ["ping", "you", "→", "server", "(nothing)", "system"] in lines
    request = "request_market_data you → server {symbol, resolution, venues?, window?} market"
    assert request.split() in lines
    assert ["market:{symbol}", "no", "no", "market"] in lines
    assert (done.code, done.err) == (0, "")


def test_the_events_of_a_program_of_ones_own(
    run_here: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "told_events.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    done = run_here("events", "told_events:server", "--json")
    assert done.code == 0
    greet = next(line for line in done.lines if line.get("name") == "greet")
    assert greet == {
        "kind": "event",
        "name": "greet",
        "inbound": True,
        "payload": "{name, loud?}",
        "plugin": "hello",
        "summary": "Say hello.",
    }
    room = json.loads(done.out.splitlines()[-1])
    assert room == {
        "kind": "room",
        "pattern": "lobby[{floor}]",
        "announces": True,
        "automatic": False,
        "plugin": "hello",
        "example": "",
    }
    assert "lobby[{floor}]" in run_here("events", "told_events:server").out


def test_an_app_does_not_say_what_its_events_are(
    run_here: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "told_app.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    done = run_here("events", "told_app:app")
    assert done.code == 2
    assert done.err == "lbproto: told_app:app does not have its events: name the Server behind it\n"
