"""What the echo examples share: options in milliseconds, and serving on asyncio or trio."""

import argparse
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import anyio
import hypercorn.trio
import uvicorn
from hypercorn.config import Config

from lbproto.asgi.types import ASGIApp
from lbproto.wire import Settings


@dataclass
class Options:
    """The command line, read."""

    port: int
    backend: str
    settings: Settings


def arguments(doc: str | None) -> Options:
    """Read the command line; times are in milliseconds there."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--ping-interval", type=int, default=25_000)
    parser.add_argument("--ping-timeout", type=int, default=20_000)
    parser.add_argument("--connect-timeout", type=int, default=5_000)
    parser.add_argument("--backend", choices=("asyncio", "trio"), default="asyncio")
    given = parser.parse_args()
    settings = Settings(
        ping_interval=given.ping_interval / 1000,
        ping_timeout=given.ping_timeout / 1000,
        connect_timeout=given.connect_timeout / 1000,
    )
    return Options(given.port, given.backend, settings)


def serve(app: ASGIApp, options: Options) -> None:
    """Serve until interrupted: uvicorn on asyncio, hypercorn on trio."""
    if options.backend == "asyncio":
        uvicorn.run(app, port=options.port, log_level="warning")
        return
    config = Config()
    config.bind = [f"127.0.0.1:{options.port}"]
    anyio.run(partial(hypercorn.trio.serve, cast(Any, app), config), backend="trio")
