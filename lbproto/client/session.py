"""A client's session: connected, lost, resumed or begun anew, until it is over.

Theory of operation. One task reads. Whenever the connection is lost, it decides by how it was lost
whether to come back, waits, and shows where it had got. The server then goes on with the session,
and what was missed comes first; or it begins a new one. In a new one rooms are joined again, and
jobs taken up; so they are where the server says that answers are lost. Requests are answered on the
connection that they were sent over, or fail with it; one that may be repeated is sent again by its
own task, by the same `requestId`, once what was missed has come: its answer may be in that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio

from lbproto.client.answering import Answering
from lbproto.client.asking import Asked, Asking, tagged
from lbproto.client.bounds import MAX_WAIT_SECONDS, Reconnect
from lbproto.client.codecs import Heard
from lbproto.client.errors import Disconnected, once_more
from lbproto.client.following import Following
from lbproto.client.link import Credentials, Link, connect
from lbproto.client.listening import Listeners
from lbproto.client.payloads import PlainPayload
from lbproto.client.target import Target
from lbproto.client.vocabulary import Vocabulary
from lbproto.errors import RateLimited, RequestError, UsageError
from lbproto.events import Event
from lbproto.messages import (
    AnswersLost,
    Authenticate,
    Connected,
    Recovered,
    SessionExpiring,
    SessionLost,
    Subscribe,
    Unsubscribed,
)
from lbproto.scheduling.tasks import StartSoon
from lbproto.scheduling.wakeup import Wakeup
from lbproto.transport import CloseCode
from lbproto.wire.settings import ProtocolError

__all__ = ["Session"]

logger = logging.getLogger(__name__)

_MAX_OFFSET_LENGTH = 1_024  # characters


class Session:
    """The session of one client.

    Args:
        target: where it is.
        vocabulary: what is known by name.
        listeners: who is told of its events.
        start_soon: starts a task that lives no longer than the client.

    Attributes:
        connected: what the server greeted with last; None before it did.
        rooms: those that it is in, or will be again.
        answering: who acknowledges those that ask for it.
        over: why there will be no connection any more; None while there may be one.
    """

    def __init__(
        self, target: Target, vocabulary: Vocabulary, listeners: Listeners, start_soon: StartSoon
    ) -> None:
        self.connected: Connected | None = None
        self.rooms: dict[str, None] = {}
        self.answering = Answering(start_soon)
        self.over: Exception | None = None
        self.start_soon = start_soon
        self._target = target
        self._vocabulary = vocabulary
        self._listeners = listeners
        self._asking = Asking(vocabulary.known)
        self._followings: dict[str, Following[Any]] = {}
        self._link: Link | None = None
        self._pid: str | None = None
        self._offset: str | None = None
        self._settled = False  # whether all that was missed has come
        self._untold = False  # whether the server does not say that a session was lost
        self._rooms_owed: dict[str, None] = {}  # to be joined again
        self._joining = False  # whether that is under way
        self._jobs_owed: dict[Following[Any], None] = {}  # to be taken up
        self._changed = anyio.Event()  # set when there is a connection, or none any more
        self._eased = Wakeup()  # set when there may be a reason to read on
        self._reactions: dict[str, Callable[[Heard], None]] = {
            Connected.event_name: self._greeted,
            Recovered.event_name: self._recovered,
            AnswersLost.event_name: self._answers_lost,
            Unsubscribed.event_name: self._unsubscribed,
            SessionExpiring.event_name: self._expiring,
        }

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection just now."""
        return self._link is not None

    # Connections

    async def run(self) -> None:
        """Connect, and come back, until the session is over."""
        attempt = 0
        while True:
            error, lived = await self._connection()
            reconnect = self._target.reconnect
            if reconnect is not None and lived > reconnect.ceiling(attempt):
                attempt = 0
            if reconnect is None or not self._may_retry(error, reconnect, attempt):
                self.end(error)
                return
            delay = reconnect.delay(attempt, getattr(error, "retry_after", None))
            logger.info("%s: connecting again in %.1f s", error, delay)
            await anyio.sleep(delay)
            attempt += 1

    def _may_retry(self, error: Exception, reconnect: Reconnect, attempt: int) -> bool:
        if self.connected is None or attempt == reconnect.attempts:
            return False
        if isinstance(error, Disconnected):
            renewable = error.code == CloseCode.UNAUTHORIZED and self._target.renews
            return error.retryable or renewable
        return isinstance(error, RequestError) and error.code.retryable

    async def _connection(self) -> tuple[Exception, float]:
        """Have a connection until it is lost.

        Returns:
            Why, and how many seconds it has lasted.
        """
        target, began = self._target, None
        try:
            credentials = Credentials(await self._target.fresh_token(), self._pid, self._offset)
            async with connect(
                target.address,
                target.wire,
                credentials,
                context=target.context,
                bounds=target.bounds,
            ) as link:
                began = anyio.current_time()
                self._up(link)
                try:
                    await self._read(link)
                except (Disconnected, ProtocolError) as error:
                    self._down(error)  # nobody waits until it is closed in order
                    raise
        except (Disconnected, ProtocolError, RequestError) as error:
            return error, 0.0 if began is None else anyio.current_time() - began
        raise AssertionError("nobody stops reading by themselves")

    def _up(self, link: Link) -> None:
        resumed = link.pid is not None and link.pid == self._pid
        if self.connected is not None and not resumed:
            self._untold = self._pid is None
            self._owe()
        if not resumed:
            self._offset = None
        self._pid = link.pid
        self._link, self.connected = link, link.connected
        self._notify()
        if not resumed:
            self._settle()

    def _down(self, error: Exception) -> None:
        link, self._link = self._link, None
        self._settled = False
        if link is not None:
            self._asking.lost(link, error)
        self._notify()

    def _owe(self) -> None:
        """All rooms and jobs are to be asked for again."""
        self._rooms_owed = dict(self.rooms)
        self._jobs_owed = dict.fromkeys(self._followings.values())

    def _settle(self) -> None:
        """Everything that was missed has come, or cannot come: go on from here."""
        self._settled = True
        self._notify()
        if self._rooms_owed and not self._joining:
            self._joining = True
            self.start_soon(self._join_again)
        for following in list(self._jobs_owed):
            self.start_soon(following.take_up)

    def _notify(self) -> None:
        changed, self._changed = self._changed, anyio.Event()
        changed.set()

    async def _wait_link(self, *, settled: bool = False) -> Link:
        """The connection, as soon as there is one.

        Args:
            settled: and all that was missed has come.
        """
        while self._link is None or (settled and not self._settled):
            if self.over is not None:
                raise once_more(self.over)
            await self._changed.wait()
        return self._link

    async def wait_connected(self) -> None:
        """Wait until there is a connection.

        Raises:
            Exception: why there will be none.
        """
        await self._wait_link()

    # What is sent

    async def send(self, event: Event) -> None:
        """Send an event as soon as there is a connection; see `Client.emit`."""
        await self._send(event.event_name, event)

    async def _send(self, name: str, data: Any, asked: Asked | None = None, id_: int = 0) -> None:
        while True:
            link = await self._wait_link(settled=asked is not None and asked.link is not None)
            if asked is not None:
                if asked.done:
                    return  # the answer was among what had been missed
                asked.link = link
            try:
                await link.send(name, data, None if asked is None else id_)
            except Disconnected:  # it is about to be noticed; nothing was sent
                if asked is not None:
                    asked.link = None
                while self._link is link:
                    await self._changed.wait()
            else:
                return

    async def ask(
        self, event: Event, asked: Asked, *, repeat: bool = False, linger: bool = False
    ) -> Heard | None:
        """Send a request, and wait for its answer.

        Args:
            event: the request.
            asked: is told of the answer.
            repeat: send it again where the connection is lost meanwhile, to be served once.
            linger: tell `asked` also when nobody waits here any more.

        Returns:
            The event that answers it; None where none does.

        Raises:
            Disconnected, RequestError, ProtocolError: there is no answer.
        """
        name, data = event.event_name, tagged(event) if repeat else event
        id_ = self._asking.new_id()
        while True:
            self._asking.add(id_, asked)
            self._eased.set()
            try:
                await self._send(name, data, asked, id_)
                await asked.wait()
            except Disconnected:
                if not repeat or self.over is not None:
                    raise
                asked.again()
            else:
                return asked.answer
            finally:
                if not (linger and asked.link):
                    self._asking.remove(id_)

    # What is read

    async def _read(self, link: Link) -> None:
        while True:
            while not self._asking and any(job.full for job in self._followings.values()):
                link.reading = False
                await self._eased.wait()
            link.reading = True
            for heard in await link.receive():
                self._hear(heard)

    def _hear(self, heard: Heard) -> None:
        if heard.kind == "event":
            if heard.offset is not None and len(heard.offset) <= _MAX_OFFSET_LENGTH:
                self._offset = heard.offset
            self._listeners.hear(heard)
            self.answering.hear(heard, self._link)
            job = self._vocabulary.job(heard) if self._followings else None
            if job in self._followings:
                self._followings[job].hear(heard)
            if (react := self._reactions.get(heard.name)) is not None:
                react(heard)
        self._asking.hear(heard)

    def _greeted(self, _heard: Heard) -> None:
        if self._untold:
            self._untold = False
            lost = PlainPayload({}, str_keys=True)
            self._listeners.hear(Heard("event", lost, SessionLost.event_name))

    def _recovered(self, _heard: Heard) -> None:
        self._settle()

    def _answers_lost(self, _heard: Heard) -> None:
        self._owe()
        if self._settled:  # else as soon as all that was missed has come
            self._settle()

    def _unsubscribed(self, heard: Heard) -> None:
        room = heard.typed(Unsubscribed).room
        self.rooms.pop(room, None)
        self._rooms_owed.pop(room, None)

    def _expiring(self, _heard: Heard) -> None:
        if self._target.renews:
            self.start_soon(self._renew)

    # What the session does by itself

    async def _renew(self) -> None:
        try:
            await self.ask(Authenticate(token=await self._target.fresh_token()), Asked())
        except Disconnected:
            return  # the next connection shows a newer one in any case
        except (RequestError, ProtocolError) as error:
            logger.warning("the session could not be renewed: %s", error)

    async def _join_again(self) -> None:
        """Join the rooms of the session before; who is refused is told by the room's own event."""
        while self._rooms_owed:
            room = next(iter(self._rooms_owed))
            try:
                await self.ask(Subscribe(room=room), Asked())
            except RateLimited as busy:
                await anyio.sleep(min(max(busy.retry_after or 1.0, 0.0), MAX_WAIT_SECONDS))
                continue
            except Disconnected:
                if self.over is not None:
                    return
                continue  # there may be another session by now
            except (RequestError, ProtocolError) as refused:
                logger.warning("room %r is not joined again: %s", room, refused)
                self.rooms.pop(room, None)
            self._rooms_owed.pop(room, None)
        self._joining = False

    # Jobs

    def follow(self, job: Following[Any]) -> None:
        """Tell a job of its events from now on.

        Raises:
            UsageError: somebody follows it already.
        """
        if self._followings.setdefault(job.id, job) is not job:
            raise UsageError("this client follows that job already: it has the same `requestId`")

    def forget(self, job: Following[Any]) -> None:
        """A job has ended, or nobody wants to know."""
        if self._followings.get(job.id) is job:
            del self._followings[job.id]
        self._jobs_owed.pop(job, None)
        self._eased.set()

    def taken_up(self, job: Following[Any]) -> None:
        """A job goes on in this session."""
        self._jobs_owed.pop(job, None)

    def ease(self) -> None:
        """Some of a job's events were read."""
        self._eased.set()

    # The end

    def end(self, error: Exception) -> None:
        """There will be no connection any more."""
        self.over = self.over or error
        self._listeners.end(error)
        for job in list(self._followings.values()):
            job.end(error)
        self._notify()

    def leave(self) -> None:
        """The client leaves for good: tell the server, and whoever listens that this is the end."""
        if self._link is not None:
            self._link.leave()
        self._listeners.end(StopAsyncIteration())
        closed = Disconnected("the client is closed", CloseCode.NORMAL, retryable=False)
        self.end(closed)
        self._down(closed)
