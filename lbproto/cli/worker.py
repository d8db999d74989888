"""A worker of `lbproto serve --workers`: `python -m lbproto.cli.worker LINK LISTENER...`.

These are numbers of open files, which it inherits; see `lbproto.cli.workers`.
"""

from __future__ import annotations

import socket
import sys
from contextlib import closing

import msgspec

from lbproto.cli.configuring import Configured
from lbproto.cli.failure import telling
from lbproto.cli.launch import serve_as_worker
from lbproto.cli.link import Link

__all__ = ["main"]


def main(link_number: int, *listeners: int) -> None:
    """Serve what the link says until SIGINT or SIGTERM, or until whoever started us is gone."""
    with closing(Link(link_number)) as link:
        try:
            configured = msgspec.json.decode(link.instructions(), type=Configured)
        except EOFError:
            return
        sockets = [socket.socket(fileno=number) for number in listeners]
        with telling(as_log=configured.config.log.format == "json"):
            serve_as_worker(configured, sockets, link)


if __name__ == "__main__":
    try:
        main(*map(int, sys.argv[1:]))
    except KeyboardInterrupt:  # before it served
        sys.exit(130)
