"""Contracts as commands name them: a server, a document in a file, or one that a server serves."""

from __future__ import annotations

import sys
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import msgspec

from lbproto import Server
from lbproto.cli.demo import Replay, demo_server
from lbproto.cli.failure import Failure
from lbproto.cli.loading import load
from lbproto.contract import Contract, NotAContract, asyncapi, describe, read

__all__ = ["contract_of", "server_of"]

_MAX_BYTES = 16 * 1024 * 1024
_TIMEOUT_SECONDS = 10
_SCHEMES = ("http://", "https://")


def server_of(target: str | None) -> Server:
    """The server that `module:name` names; the demo's for None.

    Raises:
        Failure: there is no such server, or the app does not tell which one it is.
    """
    if target is None:
        return demo_server(Replay())
    server = load(target).server
    if server is None:
        raise Failure(f"{target} does not have its events: name the Server behind it")
    return server


def contract_of(source: str) -> Contract:
    """The contract that a file has, or a URL, or standard input (`-`), or that a server keeps.

    Raises:
        Failure: the contract cannot be had from there.
    """
    path = Path(source)
    if source == "-":
        document = sys.stdin.buffer.read(_MAX_BYTES + 1)
    elif source.startswith(_SCHEMES):
        document = _fetched(source)
    elif path.is_file():
        with path.open("rb") as file:
            document = file.read(_MAX_BYTES + 1)
    elif ":" in source:
        # As a document would have it: both sides of a comparison are in one dialect.
        document = msgspec.json.encode(asyncapi(describe(server_of(source))))
    else:
        raise Failure(f"there is no file {source}; a server is named like hello:server")
    if len(document) > _MAX_BYTES:
        raise Failure(f"{source} is larger than {_MAX_BYTES:,} bytes, too large for a contract")
    try:
        return read(document)
    except NotAContract as error:
        raise Failure(f"{source} cannot be read: {error}") from None


def _fetched(url: str) -> bytes:
    try:
        with urlopen(url, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 - http or https, as asked for
            document: bytes = response.read(_MAX_BYTES + 1)
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, HTTPError):
            error.close()  # it is an answer, too
        if isinstance(error, URLError) and isinstance(error.reason, OSError):
            reason = error.reason.strerror or error.reason
            raise Failure(f"{url} cannot be read: {reason}; is a server running there?") from None
        raise Failure(f"{url} cannot be read: {error}") from None
    return document
