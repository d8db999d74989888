from __future__ import annotations

from collections.abc import Iterator

import pytest

from lbproto.load import Dialect, plain, socketio
from tests.serving import ServerProcess, serving

WIRES = ("socketio", "plain", "msgpack")
ROOM = "load:all"


TOKENS = "token-{client}"


def speaking(wire: str, token: str = TOKENS, **options: str) -> Dialect:
    """What clients say to the app on this wire."""
    common = {"event": "tick", "publish": "flood", "timestamp": "t", "request": "echo"} | options
    if wire == "socketio":
        return socketio(token, **common)
    return plain(token, **common, packed=wire == "msgpack")


@pytest.fixture(scope="session")
def server() -> Iterator[ServerProcess]:
    """The app, for the whole session."""
    with serving("tests.load.app:app", "uvicorn-direct") as process:
        yield process


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> str:
    """Each of the wires."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def brisk() -> Iterator[ServerProcess]:
    """One that ends whoever does not answer heartbeats, of Socket.IO or of WebSocket, at once."""
    options = ("--ws-ping-interval", "0.2", "--ws-ping-timeout", "1.5")
    with serving("tests.load.app:brisk", "uvicorn-uvloop", options=options) as process:
        yield process
