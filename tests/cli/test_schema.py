"""`lbproto schema`: the contract as its users get it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from lbproto.contract import read
from tests.cli.conftest import Main

PROGRAM = """
from lbproto import Context, Event, Plugin, Server, StaticTokens


class Greet(Event, event="greet/../all"):
    "Say hello."

    name: str


class Greeted(Event):
    text: str


plugin = Plugin("hello")


@plugin.on(Greet)
async def greet(ctx: Context, request: Greet) -> Greeted: ...


server = Server([plugin], auth=StaticTokens({}))


async def app(scope, receive, send): ...
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "described.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    return "described:server"


def test_the_demos_contract_is_asyncapi(run_here: Main) -> None:
    done = run_here("schema")
    assert (done.code, done.err) == (0, "")
    document = json.loads(done.out)
    assert document["asyncapi"] == "3.0.0"
    assert "servers" not in document
    assert document["operations"]["receive.demo_echo"]["x-lbproto"]["price"] == "varies"


def test_the_contract_of_ones_own_has_a_name_and_a_place(run_here: Main, program: str) -> None:
    options = ("--url", "wss://example.com", "--title", "Hello", "--contract-version", "3")
    done = run_here("schema", program, *options)
    document = json.loads(done.out)
    assert document["info"]["title"] == "Hello"
    assert document["info"]["version"] == "3"
    assert document["servers"]["plain"]["host"] == "example.com"
    assert "greet/../all" in [request.event for request in read(done.out.encode()).requests]


def test_typescript_goes_to_a_file(run_here: Main, program: str, tmp_path: Path) -> None:
    done = run_here("schema", program, "-f", "typescript", "-o", "client/lbproto.ts")
    assert (done.code, done.out, done.err) == (0, "", "")
    text = (tmp_path / "client" / "lbproto.ts").read_text()
    assert '  "greet/../all": (...asked: Asking<"greet/../all">) => void;' in text
    assert text == run_here("schema", program, "-f", "typescript").out


def test_json_schemas_are_a_file_for_each_event(
    run_here: Main, program: str, tmp_path: Path
) -> None:
    whole = json.loads(run_here("schema", program, "-f", "json-schema").out)
    done = run_here("schema", program, "-f", "json-schema", "-o", "schemas")
    assert done.code == 0
    file = tmp_path / "schemas" / "client-to-server" / "greet_.._all.json"
    schema = json.loads(file.read_text())
    assert schema == whole["clientToServer"]["greet/../all"]
    Draft202012Validator(schema).validate({"name": "Ada"})
    assert (tmp_path / "schemas" / "server-to-client" / "greeted.json").is_file()
    assert {path.name for path in tmp_path.iterdir()} <= {"described.py", "schemas", "__pycache__"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("described:app",), "described:app does not have its events: name the Server behind it"),
        (("described:server", "--url", "nowhere"), "'nowhere' is not a server address"),
        (("described:server", "-o", "described.py/x.json"), "cannot write described.py/x.json"),
    ],
)
def test_what_cannot_be_written(
    run_here: Main, program: str, options: tuple[str, ...], told: str
) -> None:
    done = run_here("schema", *options)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"lbproto: {told}")
