from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from lbproto.cli.loading import load
from tests.cli.commands import Done, python, running
from tests.cli.conftest import Main

PROGRAM = """
from contextlib import asynccontextmanager

from lbproto import Context, Event, Plugin, Server, StaticTokens, UsageError


class Greet(Event):
    name: str


class Greeting(Event):
    text: str


def make(lifespan=None):
    plugin = Plugin("hello", lifespan=lifespan)

    @plugin.on(Greet)
    async def greet(ctx: Context, request: Greet) -> Greeting:
        return Greeting(text=f"Hello {request.name}")

    return Server([plugin], auth=StaticTokens({"secret": "alice"}))


server = make()


async def host(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("has none")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the host"})


app = make().asgi(fallback=host)
number = 5


async def later():
    return make()


def broken():
    return [][0]


def misused():
    raise UsageError("use it so")


def failing(error):
    @asynccontextmanager
    async def lifespan(server):
        raise error
        yield

    return make(lifespan)


def failing_of_a_bug():
    return failing(ZeroDivisionError("oh"))


def failing_of_misuse():
    return failing(UsageError("no database"))


failing_app = failing(UsageError("no database")).asgi()
"""

_numbers = count()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The program, under a name of its own, in the current directory."""
    name = f"served_{next(_numbers)}"
    (tmp_path / f"{name}.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    yield name
    sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["server", "app"])
def test_a_server_or_an_app(run_here: Main, module: str, name: str) -> None:
    with running("serve", f"{module}:{name}") as server:
        assert server.welcome.startswith(f"lbproto serves {module}:{name}\nSocket.IO   ws://")
        greet = ("call", "greet", '{"name": "Bob"}', "--url", server.url, "--token")
        assert run_here(*greet, "secret").out == "greeting  text=Hello Bob\n"
        assert run_here(*greet, "wrong").code == 2
        elsewhere = httpx.get(server.url.replace("ws", "http", 1))
        assert elsewhere.text == ("the host" if name == "app" else "Not Found")
        ready = httpx.get(server.url.replace("ws", "http", 1) + "/readyz")
        assert ready.text.startswith("the host" if name == "app" else '{"status":"ready"')


def test_a_function_that_makes_a_server(run_here: Main, module: str) -> None:
    assert load(f"{module}:make").server is not None
    assert "greeting" in run_here("events", f"{module}:make").out


def told(done: Done) -> str:
    """What kept the command from doing anything: a traceback, where it is the user's bug."""
    assert (done.code, done.out) == (2, "")
    *before, last = done.err.splitlines()
    assert last.startswith("lbproto: ")
    if not last.endswith("see above"):
        assert before == []
    return done.err


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("hello", "'hello' names no server: write module:name, such as hello:server"),
        ("no_such_module:server", "there is no module 'no_such_module', neither installed nor in"),
        ("{module}.deeper:server", "there is no module '{module}.deeper'"),
        ("{module}:nothing", "the module '{module}' has no 'nothing'; there is {module}:server"),
        ("{module}:number", "{module}:number is of type int: it has to be a Server"),
        ("{module}:later", "{module}:later is an async function"),
        ("{module}:broken", "IndexError: list index out of range"),
        ("{module}:misused", "{module}:misused: use it so"),
        ("{module}:failing_of_a_bug", "ZeroDivisionError: oh"),
        ("{module}:failing_of_misuse", "cannot start: no database"),
        ("{module}:failing_app", "no database"),
    ],
)
def test_what_cannot_be_served_is_told(run_here: Main, module: str, target: str, why: str) -> None:
    done = run_here("serve", target.format(module=module), "--port", "0")
    assert why.format(module=module) in told(done)


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("import no_such_thing", "No module named 'no_such_thing'"),
        ("1 / 0", "ZeroDivisionError"),
        ("def (", "SyntaxError"),
        ("from lbproto import UsageError; raise UsageError('use it so')", "use it so"),
    ],
)
def test_a_module_that_cannot_be_imported(
    run_here: Main, module: str, program: str, why: str
) -> None:
    Path(f"{module}.py").write_text(program)
    assert why in told(run_here("serve", f"{module}:server"))


def test_without_the_extra_it_names_it() -> None:
    done = python("import sys; sys.modules['typer'] = None; import lbproto.__main__")
    assert done.code == 2
    assert done.err == "lbproto: the command needs an extra: pip install 'lbproto[cli]'\n"


def test_the_library_does_without_the_extra() -> None:
    done = python("import sys, lbproto; print({'typer', 'rich', 'uvicorn'} & set(sys.modules))")
    assert (done.code, done.out) == (0, "set()\n")
