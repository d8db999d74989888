"""`lbproto health`: is the server well? For images that have no other HTTP client."""

from __future__ import annotations

import http.client
from contextlib import closing
from typing import Annotated
from urllib.parse import urlsplit

import typer

from lbproto.cli.address import host_here
from lbproto.cli.configuring import configured
from lbproto.cli.failure import Failure

__all__ = ["health"]

_TIMEOUT_SECONDS = 5.0
_OK = 200
_MAX_SHOWN_BYTES = 65_536  # bytes that are shown


def health(
    url: Annotated[
        str | None,
        typer.Option(help="The address asked; by default this machine's, as is configured."),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Whether it runs; else whether to send it clients.")
    ] = False,
) -> None:
    """Ask a server how it is, and print that; exit code 1 if it is not well."""
    config = configured({}).config
    path = config.health.live if live else config.health.ready
    if url is None:
        if not path:
            raise Failure("the configuration has no such probe: name one by --url")
        url = f"http://{host_here(config.host)}:{config.port}{path}"
    status, told = _asked(url, path)
    typer.echo(told)
    raise typer.Exit(0 if status == _OK else 1)


def _asked(url: str, path: str) -> tuple[int, str]:
    """What an address answers; at `path`, if it has none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in ("http", "https") or not host:
        raise Failure(f"{url!r} is not an address such as http://localhost:8091/readyz")
    cls = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        with closing(cls(host, port, timeout=_TIMEOUT_SECONDS)) as connection:
            connection.request("GET", parts.path or path)
            answer = connection.getresponse()
            return answer.status, answer.read(_MAX_SHOWN_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Failure(
            f"{url} does not answer ({reason}): start the server, or name another with --url"
        ) from None
