"""A job's watchers: sessions here, or on another node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lbproto.errors import ErrorCode
from lbproto.events import Event
from lbproto.operations.statistics import OutboxStatistics

__all__ = ["Line", "Listener", "Told"]


class Line(Protocol):
    """The way to a client."""

    def statistics(self) -> OutboxStatistics:
        """The figures of the watcher's queue."""
        ...

    async def wait_drained(self) -> None:
        """Return once it has read all of that, or is gone."""
        ...


class Listener(Protocol):
    """A session."""

    @property
    def closed(self) -> bool:
        """Whether it is over."""
        ...

    @property
    def socket(self) -> Line | None:
        """None while its client has lost the connection."""
        ...

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever its client is back, and when it is over."""
        ...

    def unwatch(self, changed: Callable[[], None]) -> None:
        """Call it no more."""
        ...


class Told(Protocol):
    """The request by which a session has asked to be told."""

    @property
    def session(self) -> Listener:
        """The session that watches."""
        ...

    def tell(self, event: Event) -> object:
        """Tell how it goes."""
        ...

    def tell_refusal(
        self, event: Event, code: ErrorCode, message: str, retry_after: int | None
    ) -> None:
        """Tell that it has failed."""
        ...
