"""The servers that the conformance tests of both protocols talk to, each started once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.serving import serving

settings.register_profile("unhurried", deadline=None)  # a busy machine is not a failure
settings.load_profile("unhurried")


@pytest.fixture(
    scope="session",
    params=["uvicorn-asyncio", "uvicorn-uvloop", "uvicorn-direct", "hypercorn-trio"],
)
def server_address(request: pytest.FixtureRequest) -> Iterator[str]:
    """Host and port of a server of `tests.wire.apps`."""
    with serving("tests.wire.apps:app", request.param) as server:
        yield f"127.0.0.1:{server.port}"
