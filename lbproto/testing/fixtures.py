"""Fixtures for pytest: `pytest_plugins = ["lbproto.testing.fixtures"]` in the topmost conftest.py.

Tests marked `anyio` then run on asyncio in debug mode, on uvloop and on trio.
"""

from __future__ import annotations

import asyncio
from functools import partial
from importlib.util import find_spec
from math import inf
from typing import Any

import pytest

from lbproto.testing.clock import VirtualClock
from lbproto.testing.serving import Serve
from lbproto.testing.serving import serve as serve_plugins

__all__ = ["anyio_backend", "clock", "serve"]

# These suites say what was not equal.
pytest.register_assert_rewrite(
    "lbproto.testing.ledger",
    "lbproto.testing.limits",
    "lbproto.testing.plugins",
    "lbproto.testing.pubsub",
    "lbproto.testing.pubsub_log",
    "lbproto.testing.pubsub_nodes",
    "lbproto.testing.storage",
)


def _where_installed(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed")


def _unhurried_loop() -> asyncio.AbstractEventLoop:
    """A loop that checks what debug mode does, without what makes that slow.

    It logs no slow callbacks: how long a machine takes is not a property of the code. What is
    scheduled keeps no stack of where it was made: that takes longer than most tests.
    """
    loop = asyncio.new_event_loop()
    loop.slow_callback_duration = inf
    # Handles, futures and tasks ask this; what is checked does not.
    loop.get_debug = lambda: False  # type: ignore[method-assign]
    return loop


_BACKENDS = [
    pytest.param(("asyncio", {"debug": True, "loop_factory": _unhurried_loop}), id="asyncio"),
    pytest.param(
        ("asyncio", {"debug": False, "use_uvloop": True}),
        id="uvloop",
        marks=_where_installed("uvloop"),
    ),
    pytest.param(("trio", {}), id="trio", marks=_where_installed("trio")),
]


@pytest.fixture(params=_BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Name and options of the event loop; asked for by tests marked `anyio`."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend


@pytest.fixture
def clock() -> VirtualClock:
    """The test's clock; `serve` runs servers on it."""
    return VirtualClock()


@pytest.fixture
def serve(clock: VirtualClock) -> Serve:
    """Runs a server with plugins, on the test's clock; see `lbproto.testing.serve`."""
    return partial(serve_plugins, clock=clock)
