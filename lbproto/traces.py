"""The port through which requests are traced; implemented by `lbproto.telemetry`.

Nothing here knows OpenTelemetry: a server without telemetry does not import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

__all__ = ["Trace", "Traces"]


class Trace(Protocol):
    """The span of a request that is recorded, for handlers that have others work for them."""

    @property
    def parent(self) -> str:
        """Names the span for whoever works for it elsewhere, as a W3C `traceparent`."""
        ...

    def add(
        self, name: str, began: int, ended: int, attributes: Mapping[str, str | int | float]
    ) -> None:
        """Add what was done elsewhere for the request, as a span within its own.

        Args:
            name: of few: it tells the kind of work.
            began: when, in ns since the Unix epoch.
            ended: likewise.
            attributes: more about it, by names of OpenTelemetry's semantic conventions where there
                are such.
        """
        ...


class Traces(Protocol):
    """Carries trace contexts between nodes."""

    def carried(self) -> str | None:
        """What is told the other nodes with what is emitted or asked now, as a `traceparent`.

        None where that is in no span that is recorded, or in one that has told enough.
        """
        ...

    def delivered(self, trace: str, event: str, room: str, began: int, matched: int) -> None:
        """Add that this node has delivered what another one emitted, once for all recipients.

        Args:
            trace: the trace context that came with the event.
            event: its name.
            room: the pattern of the room.
            began: when, in ns since the Unix epoch; it has just ended.
            matched: sessions that it was meant for.
        """
        ...

    def answered(self, trace: str, call: str, began: int) -> None:
        """Add that this node has done what another one asked for, or begun to.

        Args:
            trace: the trace context that came with the call.
            call: its name, of few.
            began: when, in ns since the Unix epoch; it has just ended.
        """
        ...
