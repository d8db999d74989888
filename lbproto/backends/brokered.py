"""Pub/sub through a broker: the part that is common to all brokers.

Theory of operation. A `Link` is a connection to a broker; it lasts until it fails, in any way, and
then another is made, ever less often. Over each in turn go

    changes     what is subscribed to (see `subscriptions`): at first everything
    parcels     what is published, all of one turn of the event loop; the next once the broker has
                taken them. Those under way when a link fails are sent again by the next one, and
                whoever has got them tells by their numbers
    echoes      the node publishes to itself through the broker, and is deaf until it hears that: a
                connection that seems to be open may lead nowhere. Who stays deaf has lost the link

Behind a link that was lost, publishing waits for a moment: where the broker was away, the others
have to subscribe again first. With a log, they need not: they read there what they have missed.
"""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import AsyncIterator, Collection, Coroutine, Sequence
from contextlib import suppress
from random import uniform
from secrets import token_urlsafe
from time import monotonic
from typing import Any, ClassVar, Generic, Self, TypeVar

import msgspec

from lbproto.backends.arrivals import Arrivals, Arrived
from lbproto.backends.base import PubSub
from lbproto.backends.bridge import Bridged
from lbproto.backends.crossing import Crossing, entrance
from lbproto.backends.link import Link, end, finish, until_first
from lbproto.backends.parcels import ROOM, Message, Packed, Packer, Parcel, Place
from lbproto.backends.subscriptions import Subscriptions
from lbproto.errors import LimitExceeded, Overloaded, UsageError
from lbproto.operations.statistics import PubSubStatistics
from lbproto.scheduling.tasks import is_asyncio

__all__ = ["BrokeredPubSub"]

logger = logging.getLogger(__name__)

L = TypeVar("L", bound=Link)

_NOWHERE = Place()


class BrokeredPubSub(Bridged, PubSub, Generic[L]):
    """Pub/sub through a broker; a subclass says how the broker is reached.

    Attributes:
        failures: what a link may raise, besides `OSError` and `UsageError`.
        has_log: whether what is published while others are away is not lost for them.

    Args:
        urls: where the broker is.
        prefix: what all that it is told of begins with.
        max_payload: of how many bytes a message may be.
        max_messages: how many messages wait for the broker at most.
        max_bytes: how many bytes.
        timeout: for how long the broker may take for anything, in seconds.
        heartbeat: how often the node sends to itself, in seconds.

    Raises:
        UsageError: there is no URL.
    """

    failures: ClassVar[tuple[type[Exception], ...]] = ()
    has_log: ClassVar[bool] = False

    def __init__(
        self,
        *urls: str,
        prefix: str = "lbproto",
        max_payload: int = 1_000_000,
        max_messages: int = 65_536,
        max_bytes: int = 16 * 1024 * 1024,
        timeout: float = 5.0,
        heartbeat: float = 5.0,
    ) -> None:
        if not urls:
            raise UsageError(f"A {type(self).__name__} needs the URL of a server")
        super().__init__()
        self._urls = urls
        self._prefix = prefix
        self._max_payload = max_payload
        self._timeout = timeout
        self._heartbeat = heartbeat
        self._outbox: Crossing[Message] = Crossing(max_messages, max_bytes)
        self._arrivals = Arrivals()
        self._bridged = False
        self._begin()

    def _begin(self) -> None:
        self._node = token_urlsafe(6)
        self._packer = Packer(self._node, self._max_payload)
        self._subscriptions = Subscriptions()
        self._unsent: list[Packed] = []
        self._taken = asyncio.Event()  # by the broker, lately
        self._task: asyncio.Task[None] | None = None
        self._ready = False
        self._lost_connections = 0
        self._hold = _HOLD_SECONDS
        self._published = self._parcels = self._dropped = self._missed = 0
        self._refused = 0
        self._told = 0  # of those missed and dropped
        self._leave_link()

    def _leave_link(self) -> None:
        """Reset the state that belongs to one link."""
        self._ready = False
        self._subscriptions.leave_link()
        self._awaited: set[str] = set()  # echoes
        self._heard = asyncio.Event()
        self._sending = asyncio.Lock()
        self._hearing = asyncio.Event()
        self._taken.set()

    @abstractmethod
    async def _connect(self) -> L:
        """Make a link.

        Raises:
            UsageError: the broker does not let this node in.
        """

    # For the node, in its own event loop

    async def __aenter__(self) -> Self:
        self._host = entrance(apart=False)
        self._bridged = not is_asyncio()
        return await super().__aenter__()

    async def __aexit__(self, *error: object) -> None:
        self._arrivals.close()
        await super().__aexit__(*error)

    @property
    def ready(self) -> bool:
        return self._ready

    def statistics(self) -> PubSubStatistics:
        return PubSubStatistics(
            channels=len(self._subscriptions),
            queued_messages=self._outbox.count,
            queued_bytes=self._outbox.size,
            published=self._published,
            parcels=self._parcels,
            received=self._arrivals.received,
            refused=self._refused,
            dropped=self._dropped + self._arrivals.dropped,
            missed=self._missed,
            lost_connections=self._lost_connections,
        )

    def publish_nowait(self, channel: str, payload: bytes, *, kept: bool = False) -> None:
        self._put(Message(channel, payload, kept=kept))

    def _put(self, message: Message) -> None:
        size = len(message.payload)
        if size > self._max_payload:
            raise LimitExceeded(
                f"An event of {size} bytes is larger than the {self._max_payload} that nodes "
                "send each other"
            )
        if not self._outbox.put(message, size):
            if not self._outbox.is_open:
                raise UsageError("Enter the pub/sub (`async with`) before it is used")
            self._refused += 1
            raise Overloaded("The buffer to the broker is full", retry_after=1)

    async def subscribe(self, channel: str) -> None:
        await self._call(self._subscribe, channel)

    async def unsubscribe(self, channel: str) -> None:
        await self._call(self._unsubscribe, channel)

    async def messages(self) -> AsyncIterator[tuple[str, bytes | None]]:
        while True:
            for arrived in await self._arrivals.take():
                self._arrivals.release(arrived)
                if arrived.place is not None:
                    self._get_to(arrived.shard, arrived.place)
                if arrived.channel is not None:
                    yield arrived.channel, arrived.payload

    def _get_to(self, shard: int, place: Place) -> None:
        """All up to a place has been given to the node."""

    # Under asyncio

    async def _open(self) -> None:
        self._begin()
        own = entrance(apart=False)
        self._outbox.open(self._host, entrance(apart=True) if self._bridged else None)
        self._arrivals.open(own, self._host if self._bridged else None)
        tried: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._supervise(tried))
        await tried

    async def _close(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                while self._ready and self._outbox.count:
                    self._taken.clear()
                    await self._taken.wait()
        task, self._task = self._task, None
        if task is not None:
            await end([task])
        self._outbox.close()
        if left := self._outbox.count:
            self._dropped += left
            self._outbox.release(left, self._outbox.size)
            logger.warning("%d messages to the other nodes were not sent in the end", left)

    async def _supervise(self, tried: asyncio.Future[None]) -> None:
        """Make one link after the other.

        Args:
            tried: resolved once this node hears itself, or cannot for now.
        """
        delay = _FIRST_DELAY
        while True:
            link, began = None, monotonic()
            try:
                async with asyncio.timeout(self._timeout):
                    link = await self._connect()
                await self._serve(link, tried)
            except Exception as error:
                self._ready = False
                if isinstance(error, UsageError) and not tried.done():
                    tried.set_exception(error)
                    return
                if not isinstance(error, (OSError, UsageError, *self.failures)):
                    logger.exception("the connection to the other nodes failed")
                if self._hearing.is_set() or not tried.done():
                    self._lost_connections += 1
                    self._hold = _HOLD_SECONDS
                    delay = _FIRST_DELAY
                    logger.warning("The other nodes are out of reach: %s", _reason(error))
                if isinstance(error, TimeoutError) or (
                    link is None and monotonic() - began > self._timeout / 2
                ):
                    self._hold = _HOLD_AFTER_SILENCE
            finally:
                if link is not None:
                    await finish(link.close())
                self._leave_link()
            if not tried.done():
                tried.set_result(None)
            await asyncio.sleep(uniform(delay / 2, delay))  # noqa: S311 - no secret
            delay = min(2 * delay, _LAST_DELAY)

    async def _serve(self, link: L, tried: asyncio.Future[None]) -> None:
        self._subscriptions.begin_link()
        await until_first(
            link.receive(self._deliver, self._subscriptions.confirm),
            self._subscriptions.send(link),
            self._hear(link, tried),
            self._publish(link),
            *self._works(link),
        )

    def _works(self, link: L) -> Collection[Coroutine[Any, Any, None]]:  # noqa: ARG002
        """Further tasks of a link; overridden by brokers that have some."""
        return ()

    def _name(self, channel: str) -> str:
        """A channel's name at the broker, behind the prefix."""
        return ROOM + channel

    def _echoes(self) -> Sequence[str]:
        """The names by which this node reaches itself, through every part of the broker."""
        return [f"node:{self._node}"]

    async def _subscribe(self, channel: str) -> None:
        await self._subscriptions.add(self._name(channel))

    async def _unsubscribe(self, channel: str) -> None:
        self._subscriptions.remove(self._name(channel))

    @abstractmethod
    async def _send(self, link: L, packed: Sequence[Packed]) -> None:
        """Publish parcels; returns once the broker has taken them. One call at a time."""

    @abstractmethod
    async def _send_echoes(self, link: L) -> None:
        """Publish nothing by the names of `_echoes`; likewise."""

    async def _fill_in(self, link: L) -> None:
        """Receive what was missed while there was no link; it hears itself by this one."""

    async def _hear(self, link: L, tried: asyncio.Future[None]) -> None:
        """Send to itself, again and again, for as long as that comes back in time."""
        names = self._echoes()
        for name in names:
            self._subscriptions.ask(name)
        await self._subscriptions.wait_confirmed(self._timeout)
        while True:
            self._awaited, self._heard = set(names), asyncio.Event()
            async with asyncio.timeout(self._timeout):
                async with self._sending:
                    await self._send_echoes(link)
                await self._heard.wait()
            if not self._ready:
                await self._fill_in(link)
                self._ready = True
                self._hearing.set()
                if tried.done():
                    logger.warning("The other nodes are within reach again")
                else:
                    tried.set_result(None)
            self._arrivals.tell_overrun()
            lost = self._missed + self._arrivals.dropped
            if lost > self._told:
                logger.warning("%d messages of other nodes are lost here", lost - self._told)
                self._told = lost
            await asyncio.sleep(self._heartbeat)

    async def _publish(self, link: L) -> None:
        if self._lost_connections and not self.has_log:
            await self._hearing.wait()
            await asyncio.sleep(self._hold)
        while True:
            if not self._unsent:
                self._unsent = self._packer.pack(await self._outbox.take(_MAX_ROUND_BYTES))
            async with self._sending:
                await self._send(link, self._unsent)
            count = sum(each.messages for each in self._unsent)
            self._published += count
            self._parcels += len(self._unsent)
            self._outbox.release(count, sum(each.size for each in self._unsent))
            self._unsent = []
            self._taken.set()

    def _deliver(self, name: str, data: bytes) -> None:
        if not name.startswith(ROOM):
            self._hear_echo(name)
            return
        channel = name[len(ROOM) :]
        parcel = self._new(name, channel, data)
        if parcel is not None:
            for payload in parcel.payloads:
                self._arrivals.give(Arrived(channel, payload))

    def _hear_echo(self, name: str) -> None:
        self._awaited.discard(name)
        if not self._awaited:
            self._heard.set()

    def _new(self, name: str, channel: str, data: bytes, before: Place = _NOWHERE) -> Parcel | None:
        """What has come, if this node has to have it and has not; that some is lost is told it.

        Args:
            before: how far the node had got in a log that was lost.
        """
        progress = self._subscriptions.progress(name)
        if progress is None or data.startswith(self._packer.mark):
            return None
        try:
            parcel = _decode(data)
        except msgspec.DecodeError as error:
            logger.error("what was published to %r is not a message of a node: %s", name, error)
            return None
        missed = progress.advance(parcel)
        self._missed += missed or 0
        if missed or parcel.before > before:
            self._arrivals.give(Arrived(channel, None))
        return None if missed is None else parcel


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the broker takes too long"
    return str(error) or type(error).__name__


_decode = msgspec.msgpack.Decoder(Parcel).decode

_MAX_ROUND_BYTES = 1_000_000  # bytes that are published before the broker is waited for, about
_FIRST_DELAY = 0.05  # seconds until the next link is tried, at most; then twice as long
_LAST_DELAY = 1.0
_HOLD_SECONDS = 1.5  # seconds: longer than the others wait at most before they try again
_HOLD_AFTER_SILENCE = 3.5  # where they may be trying, too, which takes them until a next packet
