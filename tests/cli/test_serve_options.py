"""What `lbproto serve` makes of its configuration: a server with options, probes, and logs."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import httpx
import pytest

from lbproto import Settings
from lbproto.backends.sqlite import SQLiteStorage
from lbproto.cli.backends import server_options
from lbproto.cli.configuring import configured, leaves
from lbproto.cli.failure import Failure
from lbproto.cli.loading import load
from tests.cli.commands import SECONDS, running, started
from tests.cli.conftest import Main

PROGRAM = """
from lbproto import Plugin, Server, StaticTokens, UsageError


def make(**options):
    return Server(auth=StaticTokens({"secret": "alice"}), **options)


def fixed(settings):
    return make(settings=settings)


async def host(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the host"})


server = make()
app = make().asgi(fallback=host)
paths = {"socketio_path": "/live/socket.io/", "websocket_path": "/live/ws"}
moved = make().asgi(fallback=host, **paths)


def broken():
    return [][0]
"""

_numbers = count()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The program, under a name of its own, in the current directory."""
    name = f"configured_{next(_numbers)}"
    (tmp_path / f"{name}.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    for leaf in leaves().values():
        monkeypatch.delenv(leaf.variable, raising=False)
    path = sys.path[:]
    yield name
    sys.path[:] = path
    sys.modules.pop(name, None)


def test_a_function_is_given_what_is_configured(module: str) -> None:
    Path("lbproto.toml").write_text(
        "[server]\nstorage = 'sqlite:records.db'\n[server.settings]\nping_interval = 10"
    )
    options = server_options(configured({}, environment={}))
    assert options.keys() == {"storage", "settings"}
    server = load(f"{module}:make", options).server
    assert server is not None
    assert server.settings == Settings(ping_interval=10.0)
    assert isinstance(server.storage, SQLiteStorage)
    only = {"settings": options["settings"]}
    assert load(f"{module}:fixed", only).server is not None


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("server", "server.storage, server.settings cannot be given to {module}:server, which is"),
        ("app", "cannot be given to {module}:app, which is made already: name a function"),
        ("broken", "{module}:broken does not take all of server.storage, server.settings: give"),
    ],
)
def test_what_takes_no_options_is_told(module: str, target: str, told: str) -> None:
    with pytest.raises(Failure) as failure:
        load(f"{module}:{target}", {"storage": None, "settings": Settings()})
    assert told.format(module=module) in failure.value.message


@pytest.mark.parametrize(
    ("name", "url", "told"),
    [
        ("pubsub", "amqp://:hunter2@host", "server.pubsub begins with redis://, rediss://, "),
        ("storage", "postgres://:hunter2@host", "not 'postgres'"),
        ("pubsub", "redis://:hunter2@host:port", "server.pubsub: "),
    ],
)
def test_a_url_that_names_nothing_is_told_without_its_password(
    name: str, url: str, told: str
) -> None:
    environment = {f"LBPROTO_SERVER_{name.upper()}": url}
    with pytest.raises(Failure) as failure:
        server_options(configured({}, environment=environment))
    assert told in failure.value.message
    assert "hunter2" not in failure.value.message


def test_probes_are_where_the_configuration_says(module: str) -> None:
    Path("lbproto.toml").write_text(
        f"app = '{module}:app'\n[health]\nlive = '/alive'\nready = ''\n[log]\nlevel = 'error'"
    )
    with running("serve") as server:
        http = server.url.replace("ws", "http", 1)
        assert httpx.get(f"{http}/alive").json() == {"status": "live"}
        assert httpx.get(f"{http}/readyz").text == "the host"


def test_an_app_stays_on_its_paths(run_here: Main, module: str) -> None:
    Path("lbproto.toml").write_text(f"app = '{module}:moved'\n[health]\nlive = '/alive'")
    with running("serve") as server:
        assert " with the path /live/socket.io/\nWebSocket " in server.welcome
        assert server.url.endswith("/live")
        done = run_here("call", "ping", "--url", server.url, "--token", "secret")
        assert done.out.startswith("pong ")
        http = server.url.replace("ws", "http", 1).removesuffix("/live")
        assert httpx.get(f"{http}/alive").json() == {"status": "live"}
        assert httpx.get(f"{http}/socket.io/").text == "the host"


def test_probes_of_an_app_that_is_not_ours(run_here: Main, module: str) -> None:
    Path("lbproto.toml").write_text("[health]\nlive = '/alive'")
    done = run_here("serve", f"{module}:host", "--port", "0")
    assert "does not tell what is behind it: name the Server" in done.err


def test_logs_in_json_are_nothing_but_that(run_here: Main, module: str) -> None:
    with started(
        "serve", f"{module}:server", "--log-format", "json", "--log-level", "info", "--port", "0"
    ) as process:
        assert process.stderr is not None
        line = {"message": ""}
        while line["message"] != "serving":
            line = json.loads(process.stderr.readline())
        assert line["app"] == f"{module}:server"
        assert httpx.get(line["url"].replace("ws", "http", 1) + "/healthz").status_code == 200
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=SECONDS)
        assert out == ""
        for rest in err.splitlines():
            assert json.loads(rest)["level"] == "info"
        assert process.returncode == 0
    done = run_here("serve", f"{module}:broken", "--log-format", "json")
    assert (done.code, done.out) == (2, "")
    told = json.loads(done.err)
    assert told["message"] == f"{module}:broken has made no server: see above"
    assert "IndexError" in told["exception"]
