"""Events that the server asks the client to acknowledge, and the functions that do."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from lbproto.client.codecs import Heard
from lbproto.client.errors import Disconnected
from lbproto.client.link import Link
from lbproto.errors import UsageError
from lbproto.events import Event
from lbproto.scheduling.tasks import StartSoon
from lbproto.wire.settings import ProtocolError

__all__ = ["Answering"]

logger = logging.getLogger(__name__)

E = TypeVar("E", bound=Event)

_MAX_CONCURRENT = 64  # beyond that the server waits in vain


class Answering:
    """The functions of one client.

    Args:
        start_soon: starts a task that lives no longer than the client.
    """

    def __init__(self, start_soon: StartSoon) -> None:
        self._start_soon = start_soon
        self._functions: dict[str, tuple[type[Event], Callable[[Any], Awaitable[Any]]]] = {}
        self._under_way = 0

    def add(self, event: type[E], function: Callable[[E], Awaitable[Any]]) -> None:
        """Have a function answer events of a class.

        Raises:
            UsageError: another one does.
        """
        if event.event_name in self._functions:
            raise UsageError(f"{event.__qualname__} is answered by another function already")
        self._functions[event.event_name] = event, function

    def hear(self, heard: Heard, link: Link | None) -> None:
        """An event has come over a connection."""
        if heard.asks is None or link is None or self._under_way >= _MAX_CONCURRENT:
            return
        if (found := self._functions.get(heard.name)) is not None:
            self._under_way += 1
            self._start_soon(partial(self._answer, heard, heard.asks, link, *found))

    async def _answer(
        self,
        heard: Heard,
        asked: int,
        link: Link,
        event: type[Event],
        function: Callable[[Any], Awaitable[Any]],
    ) -> None:
        try:
            answer = await function(heard.typed(event))
            with suppress(Disconnected):  # nobody waits any more
                link.acknowledge(asked, answer)
        except ProtocolError as error:
            logger.warning("not acknowledged: %s", error)
        except Exception:
            logger.exception("the function that acknowledges `%s` failed", heard.name)
        finally:
            self._under_way -= 1
