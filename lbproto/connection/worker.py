"""Inbound work: one worker for all connections, once per turn of the event loop.

See `lbproto.scheduling.relay` for requests that have to be waited for.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from lbproto.connection.intake import Intake
from lbproto.scheduling.relay import Relay

__all__ = ["Worker"]


class Worker(Relay[Intake]):
    """Does what the peers of a server ask for."""

    def _serve(self, item: Intake) -> Coroutine[Any, Any, None]:
        return item.work()

    def _waits(self, item: Intake) -> None:
        item.wait_begins()
