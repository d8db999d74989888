"""Pub/sub over Redis or Valkey, with a log; needs `lbproto[redis]`.

Channels are sharded ones (`SSUBSCRIBE`), which in a cluster concern a single shard; of a server
older than Redis 7 they are plain ones. A script publishes, which also numbers and logs: what comes
by one connection has ever greater numbers, so that a node knows exactly how far it has got.

    <prefix>:{<shard>}:room:<channel>   a place in the log, and a parcel of messages
    <prefix>:{<shard>}:node:<id>        what a node sends to itself: a place, and nothing

and the keys of `redis_log`. Where a link was lost, a node reads in the log what it has missed, and
gives it before anything that comes by the next one. What the log no longer has is lost: the node is
told so for each of its channels. Where there is another log, since the server has lost some of it,
the publishers say where in the old one each channel had got to, and every node sees whether it had
got as far.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any, Self

import anyio

from lbproto.backends.arrivals import Arrived
from lbproto.backends.brokered import BrokeredPubSub
from lbproto.backends.parcels import ROOM, Message, Packed, Place
from lbproto.backends.positions import Position, position, positions
from lbproto.errors import Overloaded, UsageError
from lbproto.extras import extra

with extra("redis", __name__):
    from redis import RedisError

    from lbproto.backends.redis_client import without_braces
    from lbproto.backends.redis_link import RedisLink, Source, connect
    from lbproto.backends.redis_log import (
        MAX_SHARDS,
        Append,
        Bounds,
        Logged,
        Logs,
        opened,
        shard_of,
        tags,
    )
    from lbproto.backends.redis_missed import missed_in
    from lbproto.backends.redis_questions import OUT_OF_REACH, Questions
    from lbproto.backends.redis_reader import Reader
    from lbproto.backends.shards import Shard

__all__ = ["RedisPubSub"]

logger = logging.getLogger(__name__)


class RedisPubSub(BrokeredPubSub[RedisLink]):
    """The way to the other nodes by Redis 6.2 or later, or Valkey: one server, Sentinel or cluster.

    Which of these it is, the server says. Each node has one of its own, with the same prefix and
    as many shards. A node starts without the server, too, and hears the others as soon as it can;
    see `ready`. What it publishes meanwhile is kept, up to `max_messages` and `max_bytes`, then
    refused. To enter it raises `UsageError` where the user in the URL is not let in, or may not do
    what is needed.

    What is published stays in a log, so that a node that had lost the server, or whose session
    goes on elsewhere, has it from there. Where the server evicts keys, or comes back without its
    latest writes, another log begins, and what is gone with the old one is announced.

    Args:
        urls: `redis://[user:password@]host:port`, `rediss://` for TLS, or `unix://path`. Several
            of a cluster, or of Sentinels, are tried in turn; all of it is reached as the URL says.
        prefix: what all keys and channels begin with; no braces. Applications that share a server
            each have their own.
        service: what the Sentinels call the server.
        shards: how many logs there are, 1-6; in a cluster, up to as many servers share the work.
        max_payload: of how many bytes a message may be.
        max_messages: how many messages wait for the server at most.
        max_bytes: how many bytes.
        window: how long a message stays in the log, in seconds.
        max_kept: how many messages a log has at most.
        max_kept_bytes: how many bytes.
        timeout: for how long the server may take for anything, in seconds; longer, and the
            connection is given up.
        heartbeat: how often it is seen whether the server passes on what is published, in seconds.

    Raises:
        UsageError: there is no URL; there are braces in the prefix; or not 1-6 shards.
        ValueError: that is not a URL of a Redis.
    """

    failures = (RedisError,)
    has_log = True

    def __init__(
        self,
        *urls: str,
        prefix: str = "lbproto",
        service: str = "mymaster",
        shards: int = 1,
        max_payload: int = 1_000_000,
        max_messages: int = 65_536,
        max_bytes: int = 16 * 1024 * 1024,
        window: float = 120.0,
        max_kept: int = 100_000,
        max_kept_bytes: int = 64 * 1024 * 1024,
        timeout: float = 5.0,
        heartbeat: float = 5.0,
    ) -> None:
        if not 1 <= shards <= MAX_SHARDS:
            raise UsageError(f"A RedisPubSub has 1 to {MAX_SHARDS} shards")
        self._tags = tags(shards)
        self._bounds = Bounds(max_kept, max_kept_bytes, window)
        super().__init__(
            *urls,
            prefix=without_braces(prefix, "RedisPubSub"),
            max_payload=max_payload,
            max_messages=max_messages,
            max_bytes=max_bytes,
            timeout=timeout,
            heartbeat=heartbeat,
        )
        self._sources = [Source(url, timeout) for url in urls]
        self._service = service

    def _begin(self) -> None:
        super()._begin()
        self._shards = [Shard(at, tag, self._packer) for at, tag in enumerate(self._tags)]
        self._by_tag = {shard.tag: shard for shard in self._shards}
        self._logs = Logs(self._prefix, self._node, self._bounds)
        self._questions = Questions(self._timeout)
        self._readers = [
            Reader(self._questions, self._logs, tag, self._bounds.bytes) for tag in self._tags
        ]
        self._own = [0] * len(self._tags)  # messages that have been published
        self._given = [Place()] * len(self._tags)
        self._position: str | None = None
        self._moved: anyio.Event | None = None  # for those who wait for that

    # For the node, in its own event loop

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        for shard in self._shards:  # nobody has subscribed to anything yet
            self._get_to(shard.index, shard.reached)
        return self

    @property
    def position(self) -> str:  # type: ignore[override]
        if self._position is None:
            self._position = position(self._node, zip(self._own, self._given, strict=True))
        return self._position

    def publish_nowait(self, channel: str, payload: bytes, *, kept: bool = False) -> None:
        shard = shard_of(channel, len(self._own))
        own = self._own[shard] + 1
        self._put(Message(channel, payload, own, kept))
        self._own[shard] = own
        self._position = None

    def _get_to(self, shard: int, place: Place) -> None:
        self._given[shard] = place
        self._position = None
        if self._moved is not None:
            self._moved.set()
            self._moved = None

    async def catch_up(self) -> None:
        places = await self._call(self._questions.ask, self._touch)
        try:
            with anyio.fail_after(self._timeout):
                while any(given < place for given, place in zip(self._given, places, strict=True)):
                    self._moved = self._moved or anyio.Event()
                    await self._moved.wait()
        except TimeoutError:
            raise Overloaded("This node is too far behind; try again", retry_after=1) from None

    async def missed(
        self, behind: Mapping[str, Collection[str]]
    ) -> Sequence[tuple[str, bytes]] | None:
        here = positions(self.position, len(self._own))
        wanted: list[dict[str, list[Position]]] = [{} for _ in self._own]
        try:
            for channel, texts in behind.items():
                shard = shard_of(channel, len(self._own))
                read = [positions(text, len(self._own))[shard] for text in texts]
                if not read:
                    return None
                wanted[shard][channel] = read
        except ValueError:
            return None
        return await self._call(self._missed_in, here, wanted)

    # Under asyncio

    async def _connect(self) -> RedisLink:
        return await connect(self._sources, self._service, self._prefix, self._tags, self._timeout)

    def _works(self, link: RedisLink) -> Collection[Coroutine[Any, Any, None]]:
        return (self._questions.answer(link, self._sending),)

    async def _serve(self, link: RedisLink, tried: asyncio.Future[None]) -> None:
        for shard in self._shards:
            shard.begin_link()
        async with asyncio.timeout(self._timeout):
            await self._touch(link)  # others are reminded before they are told more
        await super()._serve(link, tried)

    def _name(self, channel: str) -> str:
        return f"{self._tags[shard_of(channel, len(self._tags))]}:{ROOM}{channel}"

    def _echoes(self) -> Sequence[str]:
        return [f"{tag}:node:{self._node}" for tag in self._tags]

    async def _send(self, link: RedisLink, packed: Sequence[Packed]) -> None:
        by_shard: dict[Shard, list[Packed]] = {}
        for each in packed:
            shard = self._shards[shard_of(each.channel, len(self._shards))]
            by_shard.setdefault(shard, []).append(each)
        places = await self._append(
            link, [shard.append(parcels) for shard, parcels in by_shard.items()]
        )
        for (shard, parcels), place in zip(by_shard.items(), places, strict=True):
            shard.sent(parcels, place, _now())

    async def _send_echoes(self, link: RedisLink) -> None:
        await self._touch(link)
        for reader in self._readers:
            reader.forget_unused()

    async def _touch(self, link: RedisLink) -> Sequence[Place]:
        """Send to itself; how far the logs have got then."""
        return await self._append(link, [shard.touch(self._node) for shard in self._shards])

    async def _append(self, link: RedisLink, appends: Sequence[Append]) -> Sequence[Place]:
        places = await self._logs.append(link, appends)
        for each, place in zip(appends, places, strict=True):
            self._by_tag[each.tag].answered(place, _now() - self._bounds.seconds)
        for shard in self._shards:
            while shard.reminders:
                some = shard.reminders[:_MAX_REMINDERS]
                await self._logs.append(link, [shard.append(some)])
                del shard.reminders[: len(some)]
        return places

    def _deliver(self, name: str, data: bytes) -> None:
        tag, _, name = name.partition(":")
        shard = self._by_tag[tag]
        try:
            place, parcel = opened(data)
        except ValueError as error:
            logger.error("what was published to %r is not a message of a node: %s", name, error)
            return
        shard.known = max(shard.known, place)
        come = Logged(place, place.number, name, parcel)
        if shard.live:
            self._take(shard, come)
        elif shard.target is not None:
            shard.hold(come)
        if not name.startswith(ROOM):
            shard.hear(place, _now())
            self._hear_echo(f"{tag}:{name}")

    def _take(self, shard: Shard, come: Logged) -> None:
        """Give the node what it has not had."""
        place, _, name, data = come
        is_echo = not name.startswith(ROOM)
        if place < shard.reached or (place == shard.reached and not is_echo):
            return
        shard.reach(place)
        channel = name[len(ROOM) :]
        parcel = None
        if not is_echo:
            parcel = self._new(f"{shard.tag}:{name}", channel, data, shard.before)
        if parcel is not None and parcel.payloads:
            first = place.number - len(parcel.payloads) + 1
            for number, payload in enumerate(parcel.payloads, first):
                self._arrivals.give(
                    Arrived(channel, payload, shard.index, Place(place.epoch, number))
                )
        elif is_echo and shard.live:  # often enough; how far it is in between need not be known
            self._arrivals.give(Arrived(None, None, shard.index, place))

    async def _fill_in(self, link: RedisLink) -> None:
        for shard in self._shards:
            target = shard.target or Place()  # it hears itself by this link
            if not shard.reached.epoch:
                shard.start(target)
            elif shard.reached.epoch < target.epoch:
                logger.warning("The server has lost the log of the other nodes: it begins anew")
                shard.reach(Place(target.epoch))
                if _now() - shard.heard > self._bounds.seconds:
                    self._lose(shard)
            await self._read(link, shard, target)
            for come in shard.release(_now()):
                self._take(shard, come)
            self._arrivals.give(Arrived(None, None, shard.index, shard.reached))

    async def _read(self, link: RedisLink, shard: Shard, target: Place) -> None:
        """Give the node what it has missed up to a place; or tell it that it is gone."""
        while shard.reached < target:
            while self._arrivals.crowded:  # noqa: ASYNC110 - it is emptied by another thread
                await asyncio.sleep(_POLL_SECONDS)
            async with asyncio.timeout(self._timeout), self._sending:
                page = await self._logs.read(link, shard.tag, shard.reached.number + 1)
            if page.place.epoch != target.epoch:
                raise ConnectionError("the log has begun anew meanwhile")
            for logged in page.parcels:
                if logged.follows > shard.reached.number:
                    self._lose(shard)
                self._take(shard, logged)
            if not page.parcels:
                self._lose(shard)
                shard.reach(target)

    def _lose(self, shard: Shard) -> None:
        """Something may be gone of each channel."""
        logger.warning("What was missed of the other nodes is no longer in the log")
        for name in self._subscriptions:
            tag, _, room = name.partition(":")
            if tag == shard.tag:
                self._arrivals.give(Arrived(room[len(ROOM) :], None))

    async def _missed_in(
        self, here: Sequence[Position], behind: Sequence[Mapping[str, Sequence[Position]]]
    ) -> Sequence[tuple[str, bytes]] | None:
        found: list[tuple[str, bytes]] = []
        for shard, own, wanted in zip(self._shards, here, behind, strict=True):
            if wanted:
                await self._wait_taken(shard, own.own)
                some = await missed_in(self._readers[shard.index], own, wanted)
                if some is None:
                    return None
                found += some
        return found

    async def _wait_taken(self, shard: Shard, own: int) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                while shard.taken < own:
                    self._taken.clear()
                    await self._taken.wait()
        except TimeoutError:
            raise Overloaded(OUT_OF_REACH, retry_after=1) from None


def _now() -> float:
    return asyncio.get_running_loop().time()


_MAX_REMINDERS = 1_000  # at once
_POLL_SECONDS = 0.01  # seconds between two looks
