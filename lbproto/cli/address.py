"""Where a server listens."""

from __future__ import annotations

import errno
import socket

from lbproto.cli.failure import Failure

__all__ = ["Address", "host_here"]

_BACKLOG = 2048
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class Address:
    """A host and port that is being listened on.

    Connections are let in as soon as there is one, and wait until the server runs.

    Args:
        host: a name or an address of this machine; a name is listened on at all its addresses.
        port: 0 for a free one.

    Attributes:
        sockets: one for each address.
        port: never 0.

    Raises:
        Failure: the port is in use, or no address here is called that.
    """

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.sockets: list[socket.socket] = []
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise _no_address(host) from None
        for family, address in dict.fromkeys((entry[0], str(entry[4][0])) for entry in found):
            at = (address, self.port)
            try:
                listener = socket.create_server(at, family=family, backlog=_BACKLOG)
            except OSError as error:
                if error.errno in _NOT_HERE:
                    continue  # `localhost` may have an IPv6 address where the machine has none
                self.close()
                raise self._failure(error) from None
            self.sockets.append(listener)
            self.port = listener.getsockname()[1]
        if not self.sockets:
            raise _no_address(host)

    def _failure(self, error: OSError) -> Failure:
        if error.errno == errno.EADDRINUSE:
            return Failure(
                f"port {self.port} is in use: "
                "stop what listens there, or choose another with --port"
            )
        return Failure(
            f"cannot listen on port {self.port} ({error.strerror}): choose another with --port"
        )

    @property
    def url(self) -> str:
        """How a client on this machine gets here."""
        return f"ws://{host_here(self.host)}:{self.port}"

    def close(self) -> None:
        """Stop listening."""
        for listener in self.sockets:
            listener.close()


def host_here(host: str) -> str:
    """How a URL on this machine names what listens on a host."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - nothing is bound
        return "localhost"
    return f"[{host}]" if ":" in host else host


def _no_address(host: str) -> Failure:
    return Failure(f"{host!r} is not an address of this machine: choose another with --host")
