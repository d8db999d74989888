from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.e2e.node import need_node
from tests.e2e.probe import PURPOSE
from tests.ledger.servers import Valkey
from tests.serving import SERVERS, ServerProcess, serving

APP = "tests.e2e.app:app"

Serve = Callable[..., ServerProcess]


@pytest.fixture
def anyio_backend() -> str:
    """The clients here are asyncio's; the servers are what runs on every loop."""
    return "asyncio"


@pytest.fixture
def node() -> None:
    """Node, with the modules of tests/node."""
    need_node()


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    """One that keeps nothing."""
    server = Valkey(appendonly="no")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def serve() -> Iterator[Serve]:
    """`serve(app, kind, *options)`: a server that the whole session shares."""
    running: dict[tuple[str, ...], ServerProcess] = {}
    with ExitStack() as stack:

        def start(app: str = APP, kind: str = "uvicorn-uvloop", *options: str) -> ServerProcess:
            key = (app, kind, *options)
            if key not in running:
                running[key] = stack.enter_context(serving(app, kind, options=options))
            return running[key]

        yield start
        complaints = [f"{key}\n{log}" for key, server in running.items() if (log := _check(server))]
    assert not complaints, "\n".join(complaints)


# Exceptions that are logged with a traceback, as they should be, or as uvicorn (0.54) does.
_EXPECTED = (PURPOSE, "Invalid UTF-8 sequence received from client.")


def _check(server: ServerProcess) -> str:
    """The log of a server that has ended by itself, or logged an unexpected exception."""
    log = server.log
    unexpected = log.count("Traceback (most recent call last)") - sum(map(log.count, _EXPECTED))
    return log if unexpected or not server.running else ""


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, serve: Serve) -> ServerProcess:
    """The test app, under every server."""
    return serve(APP, request.param)


@pytest.fixture(params=["uvicorn-uvloop", "uvicorn-direct", "hypercorn-trio"])
def main_server(request: pytest.FixtureRequest, serve: Serve) -> ServerProcess:
    """The test app on asyncio and on trio."""
    return serve(APP, request.param)


@pytest.fixture(params=["uvicorn-uvloop", "uvicorn-direct", "hypercorn-trio"])
def brisk_server(request: pytest.FixtureRequest, serve: Serve) -> ServerProcess:
    """The same with quick heartbeats."""
    return serve("tests.e2e.app:brisk", request.param)
