"""A client of Redis or Valkey as the stores of lbproto use it; needs `lbproto[redis]`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

from lbproto.errors import Overloaded, UsageError

__all__ = ["NOT_LET_IN", "client", "let_in", "reach", "without_braces"]

T = TypeVar("T")

NOT_LET_IN = (exceptions.AuthenticationError, exceptions.NoPermissionError)
"""What a server answers to a user who is not let in, or may not do something."""


def client(url: str, connections: int, timeout: float) -> Redis:
    """Make a client, which connects when it is first used, and tries nothing twice.

    Args:
        url: `redis://[user:password@]host:port/database`, `rediss://` for TLS, or `unix://path`.
        connections: how many are open at most.
        timeout: for how long a command may take, in seconds; and as long a connection of its own,
            or its turn to have one.

    Raises:
        ValueError: that is not a URL of a Redis.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),  # whoever asks knows what may be done twice
        # With them, a connection that the server has closed is not noticed before it is used.
        maint_notifications_config=MaintNotificationsConfig(enabled=False),
    )
    return Redis.from_pool(pool)


def without_braces(prefix: str, whose: str) -> str:
    """A prefix behind which braces are free to mark a hash tag.

    Raises:
        UsageError: it has some itself.
    """
    if "{" in prefix or "}" in prefix:
        raise UsageError(f"The prefix of a {whose} has braces, which mark a hash tag")
    return prefix


@contextmanager
def let_in() -> Iterator[None]:
    """Tell a user who is not let in from a server that is not there.

    Raises:
        UsageError: the user in the URL is not let in, or may not do what is needed.
    """
    try:
        yield
    except Exception as error:
        for reason in (error, error.__cause__):
            if isinstance(reason, NOT_LET_IN):
                raise UsageError(f"Redis refuses the connection: {reason}") from error
        raise


async def reach(name: str, work: Callable[[], Awaitable[T]], *, again: bool = True) -> T:
    """Do some work with a server.

    Args:
        name: what the server is for, such as "credit store".
        again: whether it is done a second time where the connection is lost: it may have been done.

    Raises:
        Overloaded: the server cannot be reached, takes too long, or takes no writes.
    """
    while True:
        try:
            return await work()
        except exceptions.TimeoutError as error:
            raise _overloaded(f"The {name} takes too long") from error
        except (exceptions.ReadOnlyError, exceptions.OutOfMemoryError) as error:
            raise _overloaded(f"The {name} takes no writes now") from error
        except (exceptions.ConnectionError, OSError) as error:  # the server was restarted, say
            if not again:
                raise _overloaded(f"The {name} cannot be reached") from error
            again = False


def _overloaded(what: str) -> Overloaded:
    return Overloaded(f"{what}; try again", retry_after=1)
