"""A job as its client follows it: stage by stage, through reconnections, to its one end.

Theory of operation. The first event that answers the request names the job; what comes after that
is told by the name. Events are counted: when the session is lost, the job is taken up by `attach`
from there on, and where the server keeps less than that, or does not know the job any more, whoever
follows it is told so by an error. A follower that reads slowly has the client read slowly, and so
the server's job wait for it: nothing is dropped.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from lbproto.client.asking import Asked
from lbproto.client.codecs import Heard
from lbproto.client.errors import Disconnected, TooSlow, once_more, refusal
from lbproto.client.inbox import Inbox
from lbproto.errors import NotFound, RequestError, UsageError
from lbproto.events import ErrorEvent, Event
from lbproto.jobs.stages import Stages
from lbproto.messages import Attach, Attached, Cancel
from lbproto.wire.settings import ProtocolError

if TYPE_CHECKING:
    from lbproto.client.session import Session

__all__ = ["Following"]

R = TypeVar("R", bound=Event)


class Following(Generic[R]):
    """One job of this client: an async iterator over its events, the last of which is its success.

    A failure is raised as the typed error of its envelope (`Cancelled`, `Overloaded`, ...), behind
    the events that came before it; so is what ended the client. It is for one task at a time.

    Raises, beside those:

    - `Disconnected`: the session was lost, and with it the job, or some of its events;
    - `TooSlow`: events were not read while the client had to read on for other requests' answers.

    Attributes:
        id: names the job; "" until its first event has come.
        request: what was asked for.
        outcome: the event of its success, once it has come.
    """

    def __init__(self, session: Session, request: R, stages: Stages, inbox: Inbox[Event]) -> None:
        self.id = ""
        self.request = request
        self.outcome: Event | None = None
        self._session = session
        self._stages = stages
        self._classes = {each.event_name: each for each in stages.events}
        self._inbox = inbox
        self._seen = 0  # how many of its events have come
        self._known = 0  # how many are about to come again
        self._left = False

    @property
    def full(self) -> bool:
        """Whether it should be read before more comes."""
        return self._inbox.full and not self._inbox.ended

    @property
    def ended(self) -> bool:
        """Whether no more events will come; those that have may still wait to be read."""
        return self._inbox.ended

    async def cancel(self) -> None:
        """Ask the server to cancel the job; it fails with `Cancelled` unless it has just ended.

        Raises:
            Disconnected: the client is over.
        """
        if self.id and not self.ended:
            await self._session.send(Cancel(id=self.id))

    async def result(self) -> Event:
        """Wait for its success; the events before it are passed over.

        Raises:
            RequestError: it has failed.
        """
        async for _ in self:
            pass
        assert self.outcome is not None  # noqa: S101 - any other end is raised
        return self.outcome

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        await self._inbox.wait()
        event = self._inbox.take()
        self._session.ease()
        return event

    # For the client

    async def begin(self) -> None:
        """Ask for it; see `Client.job`."""
        await self._session.ask(self.request, Asked(self._began), repeat=True, linger=True)

    def leave(self) -> bool:
        """Nobody follows it any more; whether it goes on all the same."""
        going_on = bool(self.id) and not self.ended
        self._left = True
        self.end(StopAsyncIteration())
        return going_on

    def end(self, error: Exception) -> None:
        """No more events come."""
        self._inbox.end(partial(once_more, error))
        self._session.forget(self)

    # From the server

    def _began(self, answer: Heard | None) -> None:
        """The request is answered: by the first event."""
        try:
            if answer is None or answer.name not in self._classes:
                name = "nothing" if answer is None else f"`{answer.name}`"
                raise ProtocolError(
                    f"{name} answers `{self.request.event_name}` but is not a stage"
                )
            self.id = getattr(answer.typed(self._classes[answer.name]), self._stages.id)
            if self._left:
                self._session.start_soon(self.give_up)
                return
            self._session.follow(self)
        except (ProtocolError, UsageError) as error:
            self.end(error)
            return
        self.hear(answer)

    def hear(self, heard: Heard) -> None:
        """One of its events has come."""
        if self._known:
            self._known -= 1
            return
        self._seen += 1
        cls = self._classes[heard.name]
        try:
            if issubclass(cls, ErrorEvent):
                self.end(refusal(heard.payload))
                return
            event = heard.typed(cls)
        except ProtocolError as error:
            self.end(error)
            return
        self._inbox.put(event, heard.size)
        if cls is self._stages.success:
            self.outcome = event
            self.end(StopAsyncIteration())
        elif self._inbox.overfull:
            self.end(TooSlow("the job's events were not read while other requests were waited for"))
            self._session.start_soon(self.give_up)

    async def give_up(self) -> None:
        """Have the server cancel it, as far as that can be."""
        with suppress(Disconnected):
            await self._session.send(Cancel(id=self.id))

    # When the session was lost

    async def take_up(self) -> None:
        """Go on with it in another session."""
        try:
            attach = Attach(id=self.id, after=self._seen)
            await self._session.ask(attach, Asked(self._attached))
        except NotFound as unknown:
            self.end(Disconnected(f"the job was lost with its session: {unknown.message}"))
        except (RequestError, ProtocolError) as error:
            self.end(error)
        except Disconnected:
            return  # the next connection has it taken up, or the client is over

    def _attached(self, answer: Heard | None) -> None:
        try:
            after = answer.typed(Attached).after if answer is not None else 0
        except ProtocolError as error:
            self.end(error)
            return
        self._session.taken_up(self)
        self._known = max(0, self._seen - after)
        if after > self._seen:
            missing = after - self._seen
            self.end(Disconnected(f"{missing} events of the job were lost with its session"))
            self._session.start_soon(self.give_up)
