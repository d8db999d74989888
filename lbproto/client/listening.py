"""Listeners' queues of events: ordered, bounded, with every loss reported."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar
from weakref import WeakSet

from lbproto.client.codecs import Heard
from lbproto.client.errors import TooSlow, once_more
from lbproto.client.inbox import Inbox
from lbproto.events import Event
from lbproto.messages import EventsDropped
from lbproto.overflow import OverflowPolicy
from lbproto.wire.settings import ProtocolError

__all__ = ["Listener", "Listeners", "RawEvent", "RawListener"]

E = TypeVar("E", bound=Event)


class Listener(Generic[E]):
    """The events of some classes, from the moment of `Client.listen` on: an async iterator.

    It is for one task at a time, and listens until it is closed, or forgotten. It goes on through
    reconnections, and ends by raising what ended the client, or:

    - `TooSlow`: there is no room for more, and the policy allows no loss;
    - `ProtocolError`: the server sent something by the name of an event that does not fit its
      class.

    What came before that is read first.

    If it listens to `EventsDropped`, too, that says how much was dropped before the next event: by
    the server, or here.
    """

    def __init__(self, classes: Iterable[type[E]], policy: OverflowPolicy, inbox: Inbox[E]) -> None:
        self._told = 0  # of the events that were dropped
        self._classes = {each.event_name: each for each in classes}
        self._policy = policy
        self._inbox = inbox

    @property
    def names(self) -> list[str]:
        """Of the events that it listens to."""
        return list(self._classes)

    @property
    def dropped(self) -> int:
        """The number of events dropped because the queue was full."""
        return self._inbox.dropped

    def hear(self, heard: Heard) -> None:
        """An event of one of these names has come."""
        try:
            event = self._read(heard)
        except ProtocolError as error:
            self.end(error)
            return
        if not self._inbox.put_by(self._policy, event, heard.size):
            self.end(TooSlow("events wait that were not read in time: see `Client.listen`"))

    def _read(self, heard: Heard) -> E:
        return heard.typed(self._classes[heard.name])

    def end(self, error: Exception) -> None:
        """Nothing more will come."""
        self._inbox.end(partial(once_more, error))

    def close(self) -> None:
        """Stop listening; whoever iterates gets what waits, and comes to the end."""
        self._inbox.end(StopAsyncIteration)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> E:
        inbox = self._inbox
        await inbox.wait()
        untold, self._told = inbox.dropped - self._told, inbox.dropped
        if untold and (told := self._of_dropped(untold)) is not None:
            return told
        return inbox.take()

    def _of_dropped(self, count: int) -> E | None:
        """What tells that so many events were dropped; None where nobody listens to that."""
        told = self._classes.get(EventsDropped.event_name)
        return None if told is None else told(count=count)


class RawEvent(Event):
    """An event as it came, whatever it is: its name, its payload, and the request it answers.

    Over Socket.IO events do not say what they answer.
    """

    name: str
    data: Any = None
    re: int | None = None


class RawListener(Listener[RawEvent]):
    """All events, as they come; see `Listener`."""

    def __init__(self, policy: OverflowPolicy, inbox: Inbox[RawEvent]) -> None:
        super().__init__((), policy, inbox)

    @property
    def names(self) -> list[str]:
        return [_ALL]

    def _read(self, heard: Heard) -> RawEvent:
        return RawEvent(name=heard.name, data=heard.payload.plain(), re=heard.re)

    def _of_dropped(self, count: int) -> RawEvent | None:
        return RawEvent(name=EventsDropped.event_name, data={"count": count})


_ALL = ""  # no event is called that


class Listeners:
    """The listeners by event; held weakly."""

    def __init__(self) -> None:
        self._by_name: dict[str, WeakSet[Listener[Any]]] = {}
        self._over: Exception | None = None

    def add(self, listener: Listener[Any]) -> None:
        """Tell somebody from now on; that it is the end, if it is."""
        if self._over is not None:
            listener.end(self._over)
            return
        for name in listener.names:
            self._by_name.setdefault(name, WeakSet()).add(listener)

    def hear(self, heard: Heard) -> None:
        """An event has come."""
        for name in (heard.name, _ALL):
            for listener in list(self._by_name.get(name, ())):
                listener.hear(heard)

    def end(self, error: Exception) -> None:
        """No more events will come, to anybody."""
        self._over = self._over or error
        for listener in {each for some in self._by_name.values() for each in some}:
            listener.end(error)
