"""The limits of the demo: none, unless the name asks for a tier."""

from __future__ import annotations

import pytest

from lbproto.cli.demo import Replay, demo_server
from tests.core.harness import connected

pytestmark = pytest.mark.anyio

WITHOUT = 400


@pytest.mark.parametrize(
    ("name", "burst"),
    [
        ("ada", WITHOUT),
        ("ada@home", WITHOUT),
        ("free", WITHOUT),
        ("ada@free", 30),
        ("ada@pro", 150),
        ("ada@unlimited", WITHOUT),
    ],
)
async def test_a_name_tells_the_tier(name: str, burst: int) -> None:
    server = demo_server(Replay())
    async with server.lifespan():
        client = await connected(server, f"demo-{name}")
        answers = [sent for _ in range(WITHOUT) for sent in await client.ask("nothing", ack=1)]
        served = [sent.name for sent in answers].count("validation_error")
    assert served == WITHOUT if burst == WITHOUT else burst <= served < WITHOUT  # time goes on
