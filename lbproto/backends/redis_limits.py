"""Request counts in Redis or Valkey, shared by all nodes; needs `lbproto[redis]`.

Theory of operation. A user has one key, hence one slot of a cluster. One script reads what it says,
lets a request through or does not, and writes it; nobody comes between. The key expires when all is
paid for. Requests that come while others are under way travel together: a round trip of many costs
each of them a fifth of one alone.

    <prefix>:<digest of the user's id>      text; see redis_limits.lua

The only clock is the server's, which is a wall clock. Where it is set back, the time that has
passed since a user was last let through is lost to that user, and nothing else: nobody waits for
the clock to get there again. Where it is set forward, or the keys are lost, users begin anew.

No request is sent twice, since it might be counted twice. One whose answer is lost may be counted,
and is let through by the node that asked.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b, sha1
from importlib.resources import files
from itertools import chain
from typing import NamedTuple, cast

from lbproto.backends.base import LimitStore
from lbproto.backends.bridge import Bridged
from lbproto.errors import Overloaded, UsageError
from lbproto.extras import extra

with extra("redis", __name__):
    from redis import exceptions

    from lbproto.backends.redis_client import NOT_LET_IN, client, let_in

__all__ = ["RedisLimits"]

_Answer = tuple[bool, Sequence[int]]

logger = logging.getLogger(__name__)


class RedisLimits(Bridged, LimitStore):
    """Counts in Redis 6.2 or later, or Valkey; shared by all nodes that use the same server.

    Each node has one of its own, with the same prefix. A node starts without the server, too: it
    counts by itself, as it does whenever the server is away. While that is so, one request at a
    time finds out whether it is back, and the others do not wait for it. To enter it raises
    `UsageError` where the user in the URL is not let in, or may not run scripts on such keys.

    Nothing here has to be durable. Where the server evicts keys (`maxmemory-policy`), it is the
    users of those keys who begin anew.

    Args:
        url: `redis://[user:password@]host:port/database`, `rediss://` for TLS, or `unix://path`.
        prefix: what all keys begin with: applications that share a server each have their own.
        timeout: for how long an answer may take, in seconds; longer, and the server is away.
        connections: how many are open at most.
        waiting: how many requests may wait for their turn.

    Raises:
        ValueError: that is not a URL of a Redis.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "lbproto:limits",
        timeout: float = 0.5,
        connections: int = 2,
        waiting: int = 1_000,
    ) -> None:
        super().__init__()
        self._prefix = prefix
        self._timeout = timeout
        self._waiting = waiting
        self._client = client(url, connections, timeout)
        self._connections = connections
        self._entered = False
        self._away = False  # whether it was when it was asked last
        self._queue: deque[_Take] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(
        self, user_id: str, windows: Sequence[tuple[int, int, int]], weight: int
    ) -> tuple[bool, Sequence[int]]:
        key = f"{self._prefix}:{_digest(user_id)}"
        return await self._call(self._count, key, _arguments(tuple(windows), weight))

    async def _open(self) -> None:
        self._entered = True
        with let_in():
            try:
                await self._count(f"{self._prefix}:", ())
            except Overloaded as error:
                if isinstance(error.__cause__, NOT_LET_IN):
                    raise
                logger.warning("Requests are counted by this node alone: %s", error.message)

    async def _close(self) -> None:
        self._entered = False
        tasks = set(self._tasks)
        while tasks:  # one that is just connecting does not always notice that it is cancelled
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=0.1)
        self._tasks.clear()  # of those that had not begun, as is this:
        self._give_up((), asyncio.CancelledError())
        await self._client.aclose()

    async def _count(self, key: str, arguments: tuple[int, ...]) -> _Answer:
        """Have the script run, if it is worth trying."""
        if not self._entered:
            raise UsageError("Enter the RedisLimits (`async with`) before it is used")
        if len(self._queue) >= self._waiting:
            raise Overloaded("too many requests wait for the store of limits")
        if self._away and self._tasks:
            raise Overloaded("the store of limits is away")
        take = _Take(key, arguments, asyncio.get_running_loop().create_future())
        self._queue.append(take)
        if len(self._tasks) < self._connections:
            self._tasks.add(asyncio.create_task(self._serve()))
        answer = await take.answer
        if isinstance(answer, Overloaded):
            raise answer
        return answer

    async def _serve(self) -> None:
        """Ask for whatever waits; nobody who gives up waiting cancels it in the middle."""
        try:
            while self._queue:
                await self._serve_batch()
        finally:  # no pause between the last look at the queue and this
            self._tasks.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _serve_batch(self) -> None:
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH))]
        try:
            async with asyncio.timeout(self._timeout):
                forgotten = await self._run(batch, "EVALSHA", _SHA)
                if forgotten:  # with the server's restart, say
                    await self._run(forgotten, "EVAL", _SCRIPT)
        except (OSError, exceptions.RedisError) as error:
            self._away = True
            self._give_up(batch, error)
        except BaseException as error:  # whatever it is, nobody is left waiting
            self._give_up(batch, error)
            raise
        else:
            self._away = False

    async def _run(self, batch: Sequence[_Take], command: str, script: str) -> list[_Take]:
        """Answer them, but for those that have not run because the server has no such script."""
        pipeline = self._client.pipeline(transaction=False)
        for take in batch:
            pipeline.execute_command(command, script, 1, take.key, *take.arguments)
        forgotten = []
        for take, answer in zip(batch, await pipeline.execute(raise_on_error=False), strict=True):
            if isinstance(answer, exceptions.NoScriptError):
                forgotten.append(take)
            elif isinstance(answer, Exception):
                take.resolve(_overloaded(answer))
            else:
                taken, *ahead = answer
                take.resolve((taken == 1, list(map(int, ahead))))
        return forgotten

    def _give_up(self, batch: Sequence[_Take], error: BaseException) -> None:
        """Let nobody wait longer; those neither who would have been next."""
        for take in (*batch, *self._queue):
            take.resolve(_overloaded(error))
        self._queue.clear()


class _Take(NamedTuple):
    """A request that is to be counted."""

    key: str
    arguments: tuple[int, ...]
    answer: asyncio.Future[_Answer | Overloaded]

    def resolve(self, answer: _Answer | Overloaded) -> None:
        """Answer, unless nobody waits any more."""
        if not self.answer.done():
            self.answer.set_result(answer)


def _overloaded(error: BaseException) -> Overloaded:
    if isinstance(error, (TimeoutError, exceptions.TimeoutError)):
        why = "takes too long"
    elif isinstance(error, asyncio.CancelledError):
        why = "is closing"
    elif isinstance(error, (OSError, exceptions.ConnectionError)):
        why = f"cannot be reached: {error}"
    else:
        why = f"does not count: {error}"
    overloaded = Overloaded(f"the store of limits {why}")
    overloaded.__cause__ = error
    return overloaded


def _digest(user_id: str) -> str:
    """A short digest of a user id for a key, which does not reveal the id."""
    return blake2b(user_id.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@lru_cache(maxsize=256)  # there are as many as tiers and weights
def _arguments(windows: tuple[tuple[int, int, int], ...], weight: int) -> tuple[int, ...]:
    """What the script is told of a request."""
    each = ((length, interval, interval * weight, reach) for length, interval, reach in windows)
    return tuple(chain.from_iterable(each))


_BATCH = 64
"""How many requests travel together, at most: what is lost with a connection."""

_SCRIPT = files("lbproto.backends").joinpath("redis_limits.lua").read_text("utf-8")
_SHA = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()  # what Redis calls it by
