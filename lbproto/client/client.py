"""The client: typed events of a server, on asyncio and trio."""

from __future__ import annotations

import ssl as tls
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import anyio

from lbproto.client.address import Address
from lbproto.client.asking import Asked
from lbproto.client.bounds import Bounds, Reconnect
from lbproto.client.codecs import CODECS, Wire
from lbproto.client.following import Following
from lbproto.client.inbox import Inbox
from lbproto.client.listening import Listener, Listeners, RawEvent, RawListener
from lbproto.client.session import Session
from lbproto.client.target import Target, Token
from lbproto.client.vocabulary import Vocabulary
from lbproto.errors import UsageError
from lbproto.events import Event
from lbproto.jobs.stages import Stages
from lbproto.messages import Connected, Subscribe, Subscribed, Unsubscribe
from lbproto.overflow import OverflowPolicy, disconnect
from lbproto.scheduling.tasks import background_tasks
from lbproto.validation.mistakes import check_event

__all__ = ["Client"]

E = TypeVar("E", bound=Event)
R = TypeVar("R", bound=Event)

_TIMEOUT_SECONDS = 30.0
_NO_EXTRA = "a client needs websockets: pip install 'lbproto[client]'"


class Client:
    """A connection to a server that lasts: `async with Client(url, token=...) as client`.

    It connects on entry, comes back whenever the connection is lost, goes on with its session where
    the server has kept it, and joins its rooms again where not. Listen to `Recovered` and
    `SessionLost` to know which. On exit it leaves, and its session ends.

    Args:
        url: the server's: `ws://`, `wss://`, `http://` or `https://`.
        token: who the client is; or a function that gets a token, each time one is needed: then a
            session is renewed before its token expires, too.
        events: further classes of events that the server sends: those of `listen` and `request`,
            and the server's own, are known by themselves.
        jobs: the stages of requests that are jobs, as the server's plugin has them: such as
            `lbproto_query.JOBS`. Each of them has to name its job.
        wire: what is spoken.
        ssl: for `wss://`; None for the system's trust.
        reconnect: how it comes back; None has it end when the connection is lost.
        bounds: of what the server may do.

    Raises:
        UsageError: that is not an address, or not a wire; two events have one name; a job cannot be
            followed; `websockets` is not installed.

    Entering it raises, and is not tried twice:

    - `Unauthorized`: the server does not accept the token;
    - `Overloaded`: it does not let the user in now;
    - `Disconnected`: nothing answers there, or not now;
    - `lbproto.wire.ProtocolError`: what answers is not an lbproto server.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token = "",
        events: Iterable[type[Event]] = (),
        jobs: Mapping[type[R], Stages] | None = None,
        wire: Wire = "plain-json",
        ssl: tls.SSLContext | None = None,
        reconnect: Reconnect | None = Reconnect(),  # noqa: B008 - it never changes
        bounds: Bounds = Bounds(),  # noqa: B008 - likewise
    ) -> None:
        if find_spec("websockets") is None:
            raise UsageError(_NO_EXTRA)
        if wire not in CODECS:
            raise UsageError(f"wire= is one of {', '.join(CODECS)}, not {wire!r}")
        self._vocabulary = Vocabulary(events, jobs or {})
        self._bounds = bounds
        self._target = Target(
            address=Address.of(url, socketio=wire.startswith("socketio")),
            wire=wire,
            token=token,
            context=ssl,
            reconnect=reconnect,
            bounds=bounds,
        )
        self._listeners = Listeners()
        self._entered: Session | None = None
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if self._entered is not None:
            raise UsageError("a client connects once: make another one")
        async with AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(background_tasks())
            session = Session(self._target, self._vocabulary, self._listeners, tasks.start_soon)
            self._entered = session
            tasks.start_soon(session.run)
            await session.wait_connected()
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._session.leave()
        return await self._exit.__aexit__(kind, error, traceback)

    # Who it is, and where

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection just now."""
        return self._session.is_connected

    @property
    def user_id(self) -> str:
        """The id of the user, as the server has told it."""
        return self._connected.user_id

    @property
    def sid(self) -> str:
        """The id of the session; another one once that was lost."""
        return self._connected.sid

    @property
    def rooms(self) -> frozenset[str]:
        """The rooms that the client is in, or joins again once it is connected."""
        return frozenset(self._session.rooms)

    # What it does

    async def emit(self, event: Event) -> None:
        """Send an event, and ask for no answer; while there is no connection, wait for one.

        That it was sent does not say that it has arrived.

        Raises:
            Disconnected: the client is over; or what else has ended it, as for all of these.
            UsageError: it is not an event.
        """
        check_event(event, "emit takes an event, as in emit(Order(...))")
        await self._session.send(event)

    @overload
    async def request(
        self,
        event: Event,
        /,
        *,
        timeout: float = _TIMEOUT_SECONDS,  # noqa: ASYNC109 - of the whole, not of a wait
        repeat: bool = False,
    ) -> Event | None: ...

    @overload
    async def request(
        self,
        event: Event,
        answer: type[E],
        /,
        *,
        timeout: float = _TIMEOUT_SECONDS,  # noqa: ASYNC109 - likewise
        repeat: bool = False,
    ) -> E: ...

    async def request(
        self,
        event: Event,
        answer: type[Event] | None = None,
        /,
        *,
        timeout: float = _TIMEOUT_SECONDS,  # noqa: ASYNC109 - likewise
        repeat: bool = False,
    ) -> Event | None:
        """Send a request, and wait for the first event that answers it.

        While there is no connection it waits for one. What other events answer it, listeners hear.

        Args:
            event: the request.
            answer: the class that the answer has to have.
            timeout: seconds that all of it may take.
            repeat: if the connection is lost meanwhile, ask again with the same `requestId`, to be
                served once (see "Retrying without doing it twice" in the wire's reference).

        Returns:
            The answer; None if the server acknowledges the request, and no event answers it.

        Raises:
            RequestError: it is refused: `RateLimited`, `NotFound`, `InvalidRequest`, and so on.
            Disconnected: the connection was lost: whether it was served is not known.
            TimeoutError: it was not answered in time.
            ProtocolError: the answer does not fit its class.
            UsageError: it is not an event; another event answers it, or one that is not known.
        """
        check_event(event, "request takes an event, as in request(Order(...))")
        if answer is not None:
            self._vocabulary.add(answer)
        asked = Asked()
        try:
            with anyio.fail_after(timeout):
                await self._session.ask(event, asked, repeat=repeat)
        except TimeoutError:
            name = event.event_name
            raise TimeoutError(f"`{name}` was not answered within {timeout:g} s") from None
        return self._read(event, asked, answer)

    def _read(self, event: Event, asked: Asked, answer: type[Event] | None) -> Event | None:
        told = asked.answer
        if told is None and answer is None:
            return None
        name = "nothing" if told is None else f"`{told.name}`"
        known = None if told is None else self._vocabulary.known(told.name)
        if told is None or (answer is not None and known is not answer):
            wanted = "" if answer is None else answer.__qualname__
            raise UsageError(f"{name} answers `{event.event_name}`, not {wanted}")
        if known is None:
            raise UsageError(f"{name} answers `{event.event_name}`: name its class in events=")
        return told.typed(known)

    async def subscribe(self, room: str) -> Subscribed:
        """Join a room, and stay in it: it is joined again after its session was lost.

        Listen to its events before: the first may be there before this returns.

        Raises:
            RequestError: the room does not let the client in.
            Disconnected, TimeoutError: as for `request`.
        """
        subscribed = await self.request(Subscribe(room=room), Subscribed)
        self._session.rooms[room] = None
        return subscribed

    async def unsubscribe(self, room: str) -> None:
        """Leave a room; no effect where the client is not in it.

        Raises:
            RequestError: the server refuses.
            Disconnected, TimeoutError: as for `request`; the room is not joined again then either.
        """
        self._session.rooms.pop(room, None)
        await self.request(Unsubscribe(room=room))

    def listen(
        self,
        event: type[E],
        /,
        *others: type[E],
        overflow: OverflowPolicy = disconnect,
        max_events: int = 1_000,
        max_bytes: int = 16 * 1024 * 1024,
    ) -> Listener[E]:
        """Hear events of some classes, in order, from now on: an async iterator.

        What the server says first is heard by whoever listens before the client is entered.

        Args:
            event: the class; `Event` for all that are known.
            others: further ones.
            overflow: what is done when there is no room for another event. By default the listener
                ends by `TooSlow`: nothing is lost unnoticed. `drop_oldest` and `conflate` are told
                by `EventsDropped`, where that is listened to, and counted by `Listener.dropped`.
            max_events: how many may wait to be read.
            max_bytes: their size, as they came.

        Raises:
            UsageError: another class of that name is known; or no event may wait.
        """
        named: list[type[Any]] = [event, *others]
        classes = self._vocabulary.classes() if Event in named else named
        for each in classes:
            self._vocabulary.add(each)
        listener = Listener[E](classes, overflow, Inbox(max_events, max_bytes))
        self._listeners.add(listener)
        return listener

    def listen_raw(
        self,
        *,
        overflow: OverflowPolicy = disconnect,
        max_events: int = 1_000,
        max_bytes: int = 16 * 1024 * 1024,
    ) -> Listener[RawEvent]:
        """Hear all events from now on, as they come, known or not; see `listen`."""
        listener = RawListener(overflow, Inbox(max_events, max_bytes))
        self._listeners.add(listener)
        return listener

    def acknowledge(self, event: type[E], function: Callable[[E], Awaitable[Any]]) -> None:
        """Register a function that acknowledges events of a class (`Server.emit_with_ack`).

        Args:
            event: the class.
            function: what it returns, an event or plain values, is what the server gets. Where it
                raises, that is logged, and the server waits in vain; so it does for a 65th at once.

        Raises:
            UsageError: events of that name are acknowledged, or called so, by something else.
        """
        self._vocabulary.add(event)
        self._session.answering.add(event, function)

    @asynccontextmanager
    async def job(self, request: R, /) -> AsyncIterator[Following[R]]:
        """Start a job and follow it: `async for stage in job`, up to its success.

        Leaving the block before its end cancels it. It is asked for by a `requestId`, so that a
        connection that is lost meanwhile does not begin it twice.

        Raises:
            RequestError: it is refused before it has begun; what it fails with later is raised by
                the iteration, see `Following`.
            UsageError: its stages are not known: see `Client(jobs=...)`.
        """
        stages = self._vocabulary.stages(type(request))
        inbox: Inbox[Event] = Inbox(self._bounds.max_waiting, self._bounds.max_waiting_bytes)
        following = Following(self._session, request, stages, inbox)
        try:
            await following.begin()
            yield following
        finally:
            if following.leave():
                with anyio.move_on_after(self._bounds.close_timeout, shield=True):
                    await following.give_up()

    # What it stands on

    @property
    def _session(self) -> Session:
        if self._entered is None:
            raise UsageError("the client is not connected: async with Client(...) as client")
        return self._entered

    @property
    def _connected(self) -> Connected:
        connected = self._session.connected
        assert connected is not None  # noqa: S101 - entering it has waited for that
        return connected
