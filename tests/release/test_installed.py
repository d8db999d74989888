"""What is installed from the wheels works, where there is no checkout."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import socketio

import lbproto
from tests.release.environment import Environment

ROOT = Path(__file__).parents[2]
NODE = ROOT / "tests" / "node"
PUBLIC = sorted(
    {
        name
        for page in (ROOT / "docs" / "reference" / "api").glob("*.md")
        for name in re.findall(r"automodule:: (\S+)", page.read_text())
    }
)

IMPORTED = """
import importlib, json, sys

told = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as missing:
        told[name] = getattr(missing, "__notes__", [missing.name])
print(json.dumps(told))
"""

EXTRAS = {
    "lbproto.backends.nats_pubsub": "nats",
    "lbproto.backends.redis_limits": "redis",
    "lbproto.backends.redis_pubsub": "redis",
    "lbproto.backends.redis_storage": "redis",
    "lbproto.ledger.postgres": "postgres",
    "lbproto.ledger.redis": "redis",
    "lbproto.telemetry": "otel",
}


def test_a_public_module_is_there_or_names_its_extra(bare: Environment) -> None:
    done = bare.run("python", "-c", IMPORTED, *PUBLIC)
    assert done.returncode == 0, done.stderr
    needed = {
        module: [f"{module} needs an extra: pip install 'lbproto[{extra}]'"]
        for module, extra in EXTRAS.items()
    }
    suites = {name: ["pytest"] for name in PUBLIC if name.startswith("lbproto.testing.")}
    del suites["lbproto.testing.backends"]  # no suite, but what others are made of
    assert json.loads(done.stdout) == needed | suites


@pytest.mark.parametrize(
    ("program", "extra"),
    [
        ("import lbproto; lbproto.PEM(b'')", "jwt"),
        ("import lbproto; lbproto.Client('ws://localhost')", "client"),
    ],
)
def test_what_is_used_without_its_extra_names_it(
    program: str, extra: str, bare: Environment
) -> None:
    done = bare.run("python", "-c", program)
    assert f"pip install 'lbproto[{extra}]'" in done.stderr


def test_the_command_without_its_extra_names_it(bare: Environment) -> None:
    done = bare.run("lbproto", "--version")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "lbproto: the command needs an extra: pip install 'lbproto[cli]'\n"


def test_it_offers_what_the_tree_does(bare: Environment) -> None:
    program = "import json, lbproto; print(json.dumps([lbproto.__file__, lbproto.__all__]))"
    done = bare.run("python", "-c", program)
    file, names = json.loads(done.stdout)
    assert Path(file).is_relative_to(bare.folder)
    assert names == lbproto.__all__


def test_the_command_tells_its_version(full: Environment) -> None:
    done = full.run("lbproto", "--version")
    assert (done.returncode, done.stdout) == (0, f"lbproto {version('lbproto')}\n")


def test_plugins_are_found(full: Environment) -> None:
    done = full.run("lbproto", "events")
    assert done.returncode == 0, done.stderr
    for event in ("ping", "request_market_data", "query", "address_analysis", "chat"):
        assert event in done.stdout


def test_the_server_of_the_readme_answers_stock_clients(full: Environment) -> None:
    shutil.copy(ROOT / "examples" / "hello.py", full.work)
    with full.serving("serve", "hello:server") as (_, url):
        assert asyncio.run(greeted(url, "Bob")) == {"text": "Hello Bob, from alice"}
        if node := node_with_modules():
            program = f"""
                import {{ io }} from "socket.io-client";
                const socket = io("{url}", {{ auth: {{ token: "secret" }} }});
                socket.on("greeting", ({{ text }}) => {{ console.log(text); socket.close(); }});
                socket.on("connected", () => socket.emit("greet", {{ name: "Eve" }}));
            """
            words = [node, "--input-type=module", "-e", program]
            said = subprocess.check_output(words, cwd=NODE, text=True, timeout=180)
            assert said == "Hello Eve, from alice\n"


async def greeted(url: str, name: str) -> Any:
    async with socketio.AsyncSimpleClient() as client:
        await client.connect(url, auth={"token": "secret"}, transports=["websocket"])
        assert (await client.receive(timeout=30))[0] == "connected"
        await client.emit("greet", {"name": name})
        event, payload, *_ = await client.receive(timeout=30)  # behind them is its offset
        assert event == "greeting"
        return payload


def node_with_modules() -> str | None:
    """Node.js, where it has socket.io-client."""
    found = shutil.which("node")
    if found is not None and (NODE / "node_modules").is_dir():
        return found
    assert not os.environ.get("CI"), "there is no Node.js, or `npm install` was not run"
    return None


def test_the_demo_shows_all_plugins_and_the_console(full: Environment) -> None:
    page = {each.name for each in (ROOT / "lbproto" / "console" / "page").iterdir()}
    with full.serving("demo") as (said, url):
        match = re.search(r"^Console +(http\S+)$", said, re.MULTILINE)
        assert match is not None, said
        console = match[1].rstrip("/")
        for name in page - {"index.html"}:
            with urlopen(f"{console}/{name}", timeout=30) as answer:  # noqa: S310 - it is ours
                assert answer.status == 200
        with urlopen(f"{console}/", timeout=30) as answer:  # noqa: S310
            assert b"<title>" in answer.read()
            assert "default-src" in answer.headers["content-security-policy"]
        with urlopen(f"{url}/asyncapi.json", timeout=30) as answer:  # noqa: S310
            names = answer.read().decode()
        for event in ("market_chart_live_update", "query_response", "chat_message"):
            assert event in names


def test_a_new_plugin_s_tests_pass(full: Environment, uv: str, built: Path) -> None:
    made = full.run("lbproto", "new", "plugin", "notes")
    assert made.returncode == 0, made.stderr
    folder = full.work / "lbproto-notes"
    words = ["pip", "install", "--quiet", "--python", str(full.bin / "python")]
    subprocess.run(
        [uv, *words, "--find-links", str(built), "--editable", str(folder)],
        check=True,
        env=full.variables,
        cwd=full.work,
    )
    done = full.run("pytest", "-q", "-p", "no:cacheprovider", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "notes_add" in full.run("lbproto", "events").stdout
