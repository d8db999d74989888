"""Every async test runs on asyncio in debug mode, on uvloop and on trio."""

import sys
from typing import Any

import pytest

BACKENDS = [
    pytest.param(("asyncio", {"debug": True}), id="asyncio"),
    pytest.param(
        ("asyncio", {"debug": False, "use_uvloop": True}),
        id="uvloop",
        marks=pytest.mark.skipif(sys.platform == "win32", reason="uvloop does not run on Windows"),
    ),
    pytest.param(("trio", {}), id="trio"),
]


@pytest.fixture(params=BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Name and options of the event loop; asked for by tests marked ``anyio``."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend
