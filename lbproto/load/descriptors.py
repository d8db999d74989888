"""How many connections this process may have open."""

from __future__ import annotations

import sys

from lbproto.load.errors import LoadError

__all__ = ["allow_connections"]

_OTHERS = 64  # files that the process has open besides, and a connection that publishes
_PORTS = 60_000  # those of one address to one other, about


def allow_connections(count: int) -> None:
    """Have the process allow itself so many connections to one server.

    The soft limit on open files is raised as far as needed, and left there.

    Raises:
        LoadError: that is more than it can have.
    """
    if count > _PORTS:
        raise LoadError(
            f"{count:,} clients are more than one machine can connect to one port "
            f"(about {_PORTS:,}): take fewer, or several machines"
        )
    if sys.platform == "win32":
        return  # which has no such limit
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + _OTHERS
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise LoadError(
            f"{count:,} clients need {needed:,} open files, and this process may have {hard:,}: "
            f"take at most {hard - _OTHERS:,} clients, or raise the limit (as root: "
            f"`ulimit -Hn {needed}`, or LimitNOFILE= of the service)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
