"""The lifespan of a host app behind the server: what fails in it is not lost."""

from __future__ import annotations

import logging

import pytest

from lbproto.asgi.lifespan import host_lifespan
from lbproto.asgi.types import ASGIApp, Receive, Scope, Send
from lbproto.testing import settle

pytestmark = pytest.mark.anyio


async def deaf(scope: Scope, receive: Receive, send: Send) -> None:
    """As Django is."""
    raise ValueError(f"no {scope['type']} here")


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    raise OSError("no database")


async def brittle(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    raise OSError("the database is gone")


async def untidy(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    raise OSError("the database does not close")


async def open_about_it(scope: Scope, receive: Receive, send: Send) -> None:
    """As Starlette is."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no migrations"})
    raise OSError("no migrations")


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str, bool]]:
    """What the server says of the host, and whether with a traceback."""
    return [
        (record.levelno, record.getMessage(), record.exc_info is not None)
        for record in caplog.records
        if record.name == "lbproto.asgi.lifespan"
    ]


async def test_a_host_without_a_lifespan_is_served(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with host_lifespan(deaf, {}):
            assert logged(caplog) == [
                (
                    logging.INFO,
                    "the host app has no lifespan: ValueError('no lifespan here')",
                    False,
                )
            ]


@pytest.mark.parametrize("host", [broken, brittle, untidy])
async def test_a_host_that_fails_is_logged_and_served(
    caplog: pytest.LogCaptureFixture, host: ASGIApp
) -> None:
    async with host_lifespan(host, {}):
        await settle()
        while_it_ran = logged(caplog)
    failed = (logging.ERROR, "the host app failed in its lifespan, and is served on", True)
    assert logged(caplog) == [failed]
    assert while_it_ran == ([] if host is untidy else [failed])
    assert "OSError" in caplog.text


async def test_a_host_that_says_so_itself_ends_the_start(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(RuntimeError, match=r"^no migrations$"):
        async with host_lifespan(open_about_it, {}):
            pytest.fail("it is not served")
    assert logged(caplog) == []
