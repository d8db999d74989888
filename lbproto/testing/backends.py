"""Backends as `pytest --lbproto-backend` takes them: what each offers, and how its time passes.

Like this, in a module `mine.py`, for `pytest --lbproto-backend mine:MyBackend=my://localhost`::

    class MyBackend(Backend):
        def storage(self) -> Storage:
            return MyStorage(self.trial.url, prefix=self.trial.name)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from lbproto.backends.base import LimitStore, PubSub, Storage
from lbproto.backends.memory import MemoryBroker, MemoryPubSub, MemoryStorage
from lbproto.backends.memory_limits import MemoryLimits
from lbproto.backends.sqlite import SQLiteStorage
from lbproto.ledger.memory import MemoryLedger
from lbproto.ledger.sqlite import SQLiteLedger
from lbproto.ledger.store import LedgerStore
from lbproto.testing.clock import VirtualClock

__all__ = ["Backend", "Memory", "SQLite", "Trial"]


@dataclass(frozen=True, slots=True)
class Trial:
    """The test that a backend is made for.

    Attributes:
        name: its own, of letters, digits and hyphens: to keep its records apart from others'.
        url: as given on the command line; "" for none.
        directory: empty, for files.
        clock: the test's.
    """

    name: str
    url: str
    directory: Path
    clock: VirtualClock


class Backend:
    """What somebody offers lbproto; made for each test anew. Override what there is.

    What a method makes is not entered yet. All that one test has made are nodes of one application,
    and keep the same records.

    Attributes:
        resolution: what the clock of `limits` can tell apart, in nanoseconds.
    """

    resolution: ClassVar[int] = 1

    def __init__(self, trial: Trial) -> None:
        self.trial = trial

    def storage(self) -> Storage:
        """A storage."""
        raise NotImplementedError

    def pubsub(self) -> PubSub:
        """A node's pub/sub."""
        raise NotImplementedError

    def limits(self) -> LimitStore:
        """A store of limits."""
        raise NotImplementedError

    def ledger(self, name: str) -> LedgerStore:
        """A store of credits; those of one name have the same accounts."""
        raise NotImplementedError

    async def pass_time(self, seconds: float) -> None:
        """Let time pass for it; by default for the trial's clock, which it then has to go by.

        Where its time cannot be moved, call `pytest.skip`: those tests are told as not tried.
        """
        self.trial.clock.jump(seconds)

    def close(self) -> None:
        """Clean up after the test."""


class Memory(Backend):
    """lbproto's own, in memory."""

    def __init__(self, trial: Trial) -> None:
        super().__init__(trial)
        self._broker = MemoryBroker()
        self._ledgers: dict[str, MemoryLedger] = {}
        self._storage = MemoryStorage(trial.clock)
        self._limits = MemoryLimits(trial.clock)

    def storage(self) -> Storage:
        return self._storage

    def pubsub(self) -> PubSub:
        return MemoryPubSub(self._broker)

    def limits(self) -> LimitStore:
        return self._limits

    def ledger(self, name: str) -> LedgerStore:
        return self._ledgers.setdefault(name, MemoryLedger())


class SQLite(Backend):
    """lbproto's own, in files."""

    def storage(self) -> Storage:
        return SQLiteStorage(self.trial.directory / "storage.db", clock=self.trial.clock)

    def ledger(self, name: str) -> LedgerStore:
        return SQLiteLedger(self.trial.directory / f"{name}.db")
