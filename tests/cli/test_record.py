"""`lbproto record` and `lbproto replay`, as somebody who looks into a complaint uses them."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import anyio
import pytest
from websockets.sync.client import ClientConnection, connect

from lbproto.recorder import decode
from lbproto.recorder.control import sockets
from tests.cli.commands import SECONDS, Running, running
from tests.cli.conftest import Main

PROGRAM = """
from lbproto import Context, Event, Plugin, Server, StaticTokens

LIMIT = 10


class Divide(Event):
    by: int


class Quotient(Event):
    value: float


plugin = Plugin("dividing")


@plugin.on(Divide)
async def divide(ctx: Context, request: Divide) -> Quotient:
    return Quotient(value=LIMIT / request.by)


server = Server([plugin], auth=StaticTokens({"secret-a": "ada", "secret-b": "bob"}))


async def host(scope, receive, send):
    pass
"""

_numbers = count()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The program, under a name of its own, in the current directory; it is recorded."""
    name = f"recorded_{next(_numbers)}"
    (tmp_path / f"{name}.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    Path("lbproto.toml").write_text(
        f"app = '{name}:server'\n[log]\nlevel = 'critical'\n"
        "[record]\ncontrol = 'control.sock'\ndirectory = 'incidents'"
    )
    return name


@pytest.fixture
def server(module: str) -> Iterator[Running]:
    with running("serve") as server:
        yield server


def client_of(server: Running, token: str) -> ClientConnection:
    return connect(f"{server.url}/ws", additional_headers={"authorization": f"Bearer {token}"})


def heard(client: ClientConnection, event: str) -> object:
    while True:
        frame = json.loads(client.recv(timeout=SECONDS))
        if frame["event"] == event:
            return frame["data"]


def divide(client: ClientConnection, by: object, answer: str) -> object:
    client.send(json.dumps({"event": "divide", "data": {"by": by}, "id": 1}))
    return heard(client, answer)


def test_a_complaint_is_recorded_while_it_runs_and_played_again(
    server: Running, module: str, run_here: Main
) -> None:
    with client_of(server, "secret-a") as ada, client_of(server, "secret-b") as bob:
        for client in (ada, bob):
            heard(client, "connected")
        assert run_here("record", "list").lines == []
        (recorded,) = run_here("record", "start", "--user", "ada").lines
        assert recorded["user"] == "ada"
        assert stat.S_IMODE(Path("control.sock").stat().st_mode) == 0o600
        for client in (ada, bob):
            divide(client, 4, "quotient")
        told = [divide(client, 0, "error") for client in (ada, bob)]
        assert run_here("record", "get", "--user", "bob").err == (
            "lbproto: nothing was recorded of that\n"
        )
        done = run_here("record", "get", "--session", recorded["session"])
        Path("ada.jsonl").write_text(done.out)
        assert "secret-a" not in done.out
        found = decode(done.out.encode())
        assert [row.event for row in found.rows] == ["divide", "quotient", "divide", "error"]
        # What was kept when it failed is there too, by its id: of Ada, not of Bob.
        (file,) = Path("incidents").iterdir()
        id_ = file.stem.removeprefix("incident-")
        assert id_ in found.rows[-1].data["message"]
        assert id_ in str(told[0])
        assert run_here("record", "get", "--incident", id_, "--out", "kept").out == (
            f"kept/incident-{id_}.jsonl\n"
        )
        assert Path("kept", file.name).read_bytes() == file.read_bytes()

        run_here("record", "start")
        assert len(run_here("record", "list").lines) == 2
        assert run_here("record", "get").err.startswith("lbproto: there are several: choose one")
        assert run_here("record", "start", "--session", "nobody").err == (
            "lbproto: there is no session 'nobody' here\n"
        )
        assert run_here("record", "stop").lines == []

    done = run_here("replay", "ada.jsonl", f"{module}:server")
    assert done.code == 0
    assert "= quotient\n= error  INTERNAL\n" in done.out
    assert done.out.endswith(": the same came of it\n")

    mended = PROGRAM.replace("/ request.by", "/ (request.by or 1)")
    Path("mended.py").write_text(mended)
    done = run_here("replay", "ada.jsonl", "mended:server", "--transcript")
    assert done.code == 1
    assert "- error  INTERNAL\n+ quotient\n" in done.out
    assert '"value":10.0' in done.out
    done = run_here("replay", "ada.jsonl", "mended:server", "--json")
    assert {"sign": "+", "event": "quotient", "code": ""} in done.lines


def test_whatever_is_said_at_the_socket_is_answered(server: Running, run_here: Main) -> None:
    async def answer(said: bytes) -> bytes:
        async with await anyio.connect_unix("control.sock") as stream:
            await stream.send(said)
            await stream.send_eof()
            told = b""
            async for part in stream:
                told += part
            return told

    wrong = (b"x\n", b"[1]\n", b'{"do":"erase"}\n', b"x" * 10_000, b"\xff\n", b'{"do":"\xff"}\n')
    for said in wrong:
        assert json.loads(anyio.run(answer, said))["error"]
    assert anyio.run(answer, b"no end of line") == b""
    assert run_here("record", "list").code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("record", "list", "--control", "no.sock"),
            "no server listens at no.sock: start it, or name",
        ),
        (("record", "list", "--control", "stale.sock"), "the server at stale.sock does not answer"),
        (("replay", "no.jsonl", "{module}:server"), "cannot read no.jsonl: No such file"),
        (("replay", "lbproto.toml", "{module}:server"), "lbproto.toml: this is not a recording"),
        (("replay", "empty.jsonl", "{module}:host"), "name the Server behind it"),
        (("serve", "{module}:host", "--port", "0"), "does not tell what is behind it"),
    ],
)
def test_what_cannot_be_done_is_told(
    module: str, run_here: Main, arguments: tuple[str, ...], told: str
) -> None:
    async def leave_a_socket() -> None:
        listener = await anyio.create_unix_listener("stale.sock")
        await listener.aclose()

    anyio.run(leave_a_socket)
    Path("empty.jsonl").write_text(
        '{"format":"lbproto-recording","version":1,"session":"s","user":"u","wire":"plain-json",'
        '"began":""}'
    )
    done = run_here(*(each.format(module=module) for each in arguments))
    assert done.code == 2
    assert told in done.err


def test_without_a_configured_socket_it_says_how(run_here: Main, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.chdir(tmp_path)
        assert "say where the server listens for this" in run_here("record", "list").err


def test_a_worker_that_was_killed_keeps_nobody_from_the_others(
    server: Running, run_here: Main
) -> None:
    async def leave_a_socket() -> None:
        await (await anyio.create_unix_listener("control.sock.7")).aclose()

    anyio.run(leave_a_socket)
    done = run_here("record", "list")
    assert (done.code, done.err) == (0, "")


def test_workers_have_a_socket_each(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    async def leave_sockets() -> None:
        for suffix in ("", ".7", ".8"):
            await (await anyio.create_unix_listener(f"{path}{suffix}")).aclose()

    anyio.run(leave_sockets)
    (tmp_path / "control.sock.txt").touch()
    assert {each.name for each in sockets(path)} == {
        "control.sock",
        "control.sock.7",
        "control.sock.8",
    }
