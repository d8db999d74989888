"""`lbproto serve`: what is configured, made into one process that serves, or several."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

import msgspec

from lbproto.asgi import Probes, ServerApp
from lbproto.cli.address import Address
from lbproto.cli.backends import server_options
from lbproto.cli.configuring import Configured
from lbproto.cli.failure import Failure
from lbproto.cli.keeper import Alone
from lbproto.cli.link import Link
from lbproto.cli.loading import Target, load
from lbproto.cli.serve import serve
from lbproto.cli.welcome import welcome_to_server
from lbproto.cli.workers import CannotServe, supervise
from lbproto.logging import configure
from lbproto.operations.pseudonyms import use_key
from lbproto.recorder import Recorder
from lbproto.recorder.control import control

__all__ = ["launch", "serve_as_worker"]

logger = logging.getLogger(__name__)

_NO_APP = "name what to serve: lbproto serve MODULE:SERVER, or app in the configuration"
_NOT_TOLD = "{app} does not tell what is behind it: name the Server, or its own server.asgi()"
_NO_BROKER = (
    "several workers need a broker between them: set server.pubsub (--pubsub) to a URL such as "
    "redis://localhost, or give the server one: Server(..., pubsub=RedisPubSub(URL))"
)


def launch(configured: Configured) -> None:
    """Serve what is configured until SIGINT or SIGTERM.

    Raises:
        Failure: it cannot be.
    """
    config = configured.config
    if not config.app:
        raise Failure(_NO_APP)
    _set_up_logs(configured)
    if config.workers > 1:
        _launch_workers(configured)
    else:
        target = _recorded(_target(configured), configured)
        address = Address(config.host, config.port)
        serve(
            target,
            address.sockets,
            Alone(lambda: _welcome(configured, address.url, target.app)),
            drain_seconds=config.drain,
        )


def serve_as_worker(configured: Configured, sockets: Sequence[socket.socket], link: Link) -> None:
    """Serve as one process of several, on sockets that all have, until a signal or the link's end.

    Raises:
        Failure: it cannot be; also where the others would not hear of what happens here.
    """
    _set_up_logs(configured)
    target = _target(configured)
    if target.server is None:
        raise Failure(_NOT_TOLD.format(app=configured.config.app))
    if target.server.checks.alone:
        raise Failure(_NO_BROKER)
    # The requests of a client that polls would reach processes that do not know it.
    target.server.runtime.polling = False
    serve(
        _recorded(target, configured, f".{os.getpid()}"),
        sockets,
        link,
        drain_seconds=configured.config.drain,
    )


def _launch_workers(configured: Configured) -> None:
    config = configured.config
    if sys.platform == "win32":
        raise Failure("several workers share a port on Unix only: start one, or several hosts")
    if not config.log.user_key:  # one for all, so that their logs agree
        log = msgspec.structs.replace(config.log, user_key=token_hex(32))
        config = msgspec.structs.replace(config, log=log)
    address = Address(config.host, config.port)
    try:
        supervise(
            config.workers,
            "lbproto.cli.worker",
            msgspec.json.encode(replace(configured, config=config)),
            address.sockets,
            Alone(lambda: _welcome(configured, address.url)),
            drain_seconds=config.drain,
        )
    except CannotServe:
        sys.exit(2)
    finally:
        address.close()


def _set_up_logs(configured: Configured) -> None:
    log = configured.config.log
    configure(log.format, log.level)
    if log.user_key:
        use_key(log.user_key.encode())


def _target(configured: Configured) -> Target:
    """What is served, with its probes where the configuration wants them."""
    config = configured.config
    target = load(config.app, server_options(configured))
    if not configured.given("health"):
        return target
    if not isinstance(target.app, ServerApp):
        raise Failure(_NOT_TOLD.format(app=config.app))
    health = config.health
    probes = Probes(live=health.live, ready=health.ready, ignore=health.ignore)
    app = target.app.with_probes(probes)
    return Target(app, app.lifespan, app.server)


def _recorded(target: Target, configured: Configured, suffix: str = "") -> Target:
    """With a recorder on it, where the configuration says anything of one.

    Args:
        suffix: of the name of the socket that it is told by.
    """
    if not configured.given("record"):
        return target
    if target.server is None:
        raise Failure(_NOT_TOLD.format(app=configured.config.app))
    record = configured.config.record
    recorder = Recorder(
        target.server,
        max_frames=record.frames,
        max_bytes=record.bytes,
        directory=Path(record.directory) if record.directory else None,
    )
    if record.all:
        recorder.start()
    if not record.control:
        return target

    @asynccontextmanager
    async def lifespan(state: dict[str, Any]) -> AsyncIterator[None]:
        socket_path = Path(record.control + suffix)
        async with target.lifespan(state), control(recorder, socket_path):
            yield

    return replace(target, lifespan=lifespan)


def _welcome(configured: Configured, url: str, app: object = None) -> None:
    config = configured.config
    if config.log.format == "text":
        welcome_to_server(config.app, url, app)
    else:
        logger.info("serving", extra={"app": config.app, "url": url, "workers": config.workers})
