"""`lbproto diff`: as a person reads it, as a program does, and as a build stops by it."""

from __future__ import annotations

import gc
import io
import json
import os
import pty
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.cli.commands import SECONDS, Running, command, environment, run
from tests.cli.conftest import Main

OLD = """
from lbproto import Context, Event, Plugin, Server, StaticTokens
from lbproto.ledger.memory import MemoryLedger


class Greet(Event):
    name: str


class Greeted(Event):
    text: str
    at: str


plugin = Plugin("hello")


@plugin.on(Greet, price=1)
async def greet(ctx: Context, request: Greet) -> Greeted: ...


@plugin.room("lobby:{floor}")
async def lobby(ctx: Context, floor: str) -> None: ...


server = Server([plugin], auth=StaticTokens({}), credits=MemoryLedger())
"""
NEW = (
    OLD.replace("    name: str", "    name: str\n    loud: bool\n    tone: str = ''")
    .replace("    at: str\n", "")
    .replace("price=1", "price=3")
)
TOLD = """\
greet  client → server
  ✗ $.loud  a new field, and it is required
  ! it costs 3 credits, before 1 credit
  + $.tone  a new field

greeted  server → client
  ✗ $.at  the field is gone

2 breaking, 1 notice, 1 compatible
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    (tmp_path / "greeting_old.py").write_text(OLD)
    (tmp_path / "greeting_new.py").write_text(NEW)
    monkeypatch.chdir(tmp_path)
    return "greeting_old:server", "greeting_new:server"


def test_what_breaks_is_told_and_stops_a_build(run_here: Main, programs: tuple[str, str]) -> None:
    done = run_here("diff", *programs)
    assert (done.out, done.err, done.code) == (TOLD, "", 1)


def test_a_program_gets_an_object_a_line(run_here: Main, programs: tuple[str, str]) -> None:
    done = run_here("diff", *programs, "--json")
    assert done.code == 1
    assert done.lines[0] == {
        "severity": "breaking",
        "kind": "field-required",
        "about": "greet",
        "direction": "client → server",
        "path": "$.loud",
        "message": "a new field, and it is required",
    }
    assert [line["severity"] for line in done.lines].count("breaking") == 2


def test_what_breaks_nobody_stops_nothing(run_here: Main, programs: tuple[str, str]) -> None:
    old, _ = programs
    Path("lists.py").write_text(OLD.replace("    name: str", "    name: str\n    tone: str = ''"))
    done = run_here("diff", old, "lists:server")
    assert done.code == 0
    assert done.out.endswith("\n1 compatible\n")
    done = run_here("diff", old, old)
    assert (done.code, done.out) == (0, "nothing has changed\n")
    assert run_here("diff", old, old, "--json").out == ""


def test_a_file_of_before_and_standard_input(
    run_here: Main, programs: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = programs
    assert run_here("schema", old, "-o", "contract.json").code == 0
    assert run_here("diff", "contract.json", new).out == TOLD
    document = run_here("schema", new).out.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(document)))
    assert run_here("diff", "contract.json", "-").out == TOLD


class Host(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.path == "/asyncapi.json"
        self.send_response(200 if known else 404)
        self.end_headers()
        if known:
            self.wfile.write(Path("contract.json").read_bytes())

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def host() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Host) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_server_that_serves_it(run_here: Main, programs: tuple[str, str], host: str) -> None:
    old, new = programs
    run_here("schema", old, "-o", "contract.json")
    assert run_here("diff", f"{host}/asyncapi.json", new).out == TOLD
    done = run_here("diff", f"{host}/other", new)
    assert done.code == 2
    assert done.err.startswith(f"lbproto: {host}/other cannot be read: HTTP Error 404")
    gc.collect()  # a connection that was left open would be told of


def test_the_demo_serves_its_own(demo: Running, tmp_path: Path) -> None:
    file = tmp_path / "demo.json"
    assert run("schema", "-o", str(file)).code == 0
    done = run("diff", f"http{demo.url.removeprefix('ws')}/asyncapi.json", str(file))
    assert (done.code, done.out) == (0, "nothing has changed\n")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("missing.json", "there is no file missing.json; a server is named like hello:server"),
        ("text", "text cannot be read: it is not a contract written by lbproto"),
        ("large", "large is larger than 16,777,216 bytes, too large for a contract"),
        ("greeting_old:nothing", "the module 'greeting_old' has no 'nothing'"),
        (
            "http://127.0.0.1:1/",
            "http://127.0.0.1:1/ cannot be read: Connection refused; is a server",
        ),
    ],
)
def test_what_is_no_contract(
    run_here: Main, programs: tuple[str, str], source: str, told: str
) -> None:
    Path("text").write_text("hello")
    with Path("large").open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)
    done = run_here("diff", programs[0], source)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"lbproto: {told}")


def test_a_document_does_not_steer_the_terminal(run_here: Main, programs: tuple[str, str]) -> None:
    document = json.loads(run_here("schema", programs[0]).out)
    document["operations"]["send.greeted"]["x-lbproto"]["event"] = "\x1b[2Jgreeted\r"
    Path("hostile.json").write_text(json.dumps(document))
    done = run_here("diff", programs[0], "hostile.json")
    assert done.code == 1
    assert "\x1b" not in done.out
    assert "\\x1b[2Jgreeted\\r  server → client\n" in done.out


def test_at_a_terminal_it_is_coloured(programs: tuple[str, str]) -> None:
    leader, follower = pty.openpty()
    done = subprocess.run(
        command("diff", *programs), env=environment(), stdout=follower, check=False, timeout=SECONDS
    )
    os.close(follower)
    shown = os.read(leader, 65536).decode()
    os.close(leader)
    assert done.returncode == 1
    assert "\x1b[31m  ✗ " in shown
    assert "\x1b[33m  ! " in shown
    assert "\x1b[1mgreet\x1b[0m" in shown


def answering(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
    connection.close()


def test_a_peer_that_is_no_web_server(run_here: Main, programs: tuple[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread = threading.Thread(target=lambda: answering(listener.accept()[0]))
        thread.start()
        done = run_here("diff", programs[0], url)
        thread.join()
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"lbproto: {url} cannot be read: SSH-2.0")
