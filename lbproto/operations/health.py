"""A node's health: is it alive, is it ready for clients, and what is wrong.

Nothing here names a host, a key or an error's text: what is told may be read by anybody.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Literal

import anyio
import msgspec

from lbproto.backends.base import PubSub, Storage
from lbproto.backends.memory import MemoryPubSub
from lbproto.connection.runtime import Runtime

__all__ = ["Check", "Health", "HealthChecks"]

logger = logging.getLogger(__name__)

Check = Literal["connections", "broker", "storage"]
"""What a node needs: to take connections, to hear the other nodes, and to reach its storage."""

_KEY = "lbproto/health"  # nothing is kept there
_STORAGE_TIMEOUT = 2.0  # seconds that the storage has to answer
_CACHE_SECONDS = 1.0  # seconds for which its answer is not asked for again, however often we are
_OK = "ok"


class Health(msgspec.Struct, frozen=True):
    """A node's health at one moment.

    Attributes:
        status: "ready", or "not ready".
        red: the checks that fail.
        checks: each with "ok", or what is wrong, in words for people.
    """

    status: str
    red: list[Check]
    checks: Mapping[Check, str]

    @property
    def ready(self) -> bool:
        """Whether all is well."""
        return not self.red


class HealthChecks:
    """Checks a node's health.

    Args:
        runtime: its connections.
        pubsub: the way to the other nodes.
        storage: its records. It is asked at most once a second, by one at a time.
    """

    def __init__(self, runtime: Runtime, pubsub: PubSub, storage: Storage) -> None:
        self._runtime = runtime
        self._pubsub = pubsub
        self._storage = storage
        self._told = _OK
        self._told_until = 0.0
        self._asking: anyio.Event | None = None  # set when the storage has answered

    @property
    def live(self) -> bool:
        """Whether the server runs: its tasks may have failed under a web server that goes on."""
        return self._runtime.running

    @property
    def alone(self) -> bool:
        """Whether this process has no broker, and so no other nodes."""
        return isinstance(self._pubsub, MemoryPubSub)

    async def look(self) -> Health:
        """Check the node's health; takes two seconds at most, and never raises."""
        checks: dict[Check, str] = {
            "connections": self._connections(),
            "broker": _OK if self._pubsub.ready else "the other nodes are out of reach",
            "storage": await self._records() if self._runtime.running else "not open",
        }
        red = [name for name, told in checks.items() if told != _OK]
        return Health("not ready" if red else "ready", red, checks)

    def _connections(self) -> str:
        if self._runtime.accepting:
            return _OK
        if self._runtime.running:
            return "draining: no new connections are taken"
        return "the server does not run"

    async def _records(self) -> str:
        if self._asking is not None:
            await self._asking.wait()
        elif self._runtime.clock.monotonic() >= self._told_until:
            self._asking = anyio.Event()
            try:
                self._told = "does not answer"  # where this is cancelled
                self._told = await self._ask()
                self._told_until = self._runtime.clock.monotonic() + _CACHE_SECONDS
            finally:
                self._asking.set()
                self._asking = None
        return self._told

    async def _ask(self) -> str:
        runtime = self._runtime
        deadline = runtime.clock.monotonic() + _STORAGE_TIMEOUT
        with anyio.CancelScope() as scope, runtime.timers.deadline(deadline, scope.cancel):
            try:
                await self._storage.get(_KEY)
            except Exception as error:  # noqa: BLE001 - any failure of it is the answer
                logger.warning("the storage cannot be read: %s", error)
                return "out of reach"
            return _OK
        return "does not answer"
