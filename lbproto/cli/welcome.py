"""What `demo` and `serve` say when they run."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from shlex import quote

from rich.text import Text

from lbproto import Server
from lbproto.asgi import ServerApp
from lbproto.cli.demo import DEMO_TOKEN
from lbproto.cli.show import output
from lbproto.contract import rooms

__all__ = ["DEFAULT_PORT", "DEFAULT_URL", "welcome_to_demo", "welcome_to_server"]

DEFAULT_PORT = 8091
DEFAULT_URL = f"ws://localhost:{DEFAULT_PORT}"


def welcome_to_demo(server: Server, url: str) -> None:
    """Say what the demo shows, where, and what to try.

    Args:
        server: what runs.
        url: where, for websockets.
    """
    examples = [room.example for room in rooms(server.registry) if room.example]
    room = examples[0] if examples else "user:alice"
    described = [plugin.description for plugin in server.plugins if plugin.description]
    shown = [("Shows" if number == 0 else "", line) for number, line in enumerate(described)]
    _show(
        "lbproto demo",
        [
            *shown,
            ("", ""),
            ("Socket.IO", url),
            ("WebSocket", f"{url}/ws"),
            ("Console", f"http{url.removeprefix('ws')}/console/"),
            ("Contract", f"http{url.removeprefix('ws')}/asyncapi.json"),
            ("Token", f"{DEMO_TOKEN} (any token demo-<name> is the user <name>)"),
            ("", ""),
            ("Try", _command("listen", room, "--token", DEMO_TOKEN, url=url)),
            ("", _command("events")),
            ("", ""),
            ("JavaScript", f'const socket = io("{url}", {{'),
            ("", f'  auth: {{ token: "Bearer {DEMO_TOKEN}" }}, transports: ["websocket"] }});'),
            ("", f'socket.on("connected", () => socket.emit("subscribe", {{ room: "{room}" }}));'),
            ("", "socket.onAny(console.log);"),
        ],
    )


def welcome_to_server(name: str, url: str, app: object = None) -> None:
    """Say that a server runs.

    Args:
        name: how it was named on the command line.
        url: where, for websockets.
        app: what is served there, where this process knows; else it is taken to have the usual
            paths.
    """
    socketio, websocket = url, f"{url}/ws"
    if isinstance(app, ServerApp):
        websocket = f"{url}{app.websocket_path}" if app.websocket_path else "not served"
        if app.socketio_path != "/socket.io":
            socketio = f"{url} with the path {app.socketio_path}/"
    _show(f"lbproto serves {name}", [("Socket.IO", socketio), ("WebSocket", websocket)])


def _command(*words: str, url: str = DEFAULT_URL) -> str:
    """A command line to paste into another terminal."""
    command = ["lbproto", *words]
    if "UV_RUN_RECURSION_DEPTH" in os.environ:  # then lbproto may be in no PATH but uv's
        command = ["uv", "run", *command]
    if url != DEFAULT_URL:
        command += ["--url", url]
    return " ".join(map(quote, command))


def _show(title: str, lines: Sequence[tuple[str, str]]) -> None:
    # Nothing at the sides, and long lines are left to the terminal: so they can be copied.
    text = Text()
    for number, (label, line) in enumerate(lines):
        text.append("\n" if number else "")
        if line:
            text.append(f"{label:<12}", "bold").append(line)
    console = output()
    if sys.stdout.isatty():
        console.rule(Text(title), style="cyan")
        console.print(text, soft_wrap=True)
        console.rule("Press Ctrl-C to stop", style="cyan")
    else:
        console.print(title, text, "Press Ctrl-C to stop", sep="\n", soft_wrap=True)
