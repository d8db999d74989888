"""Messages from other nodes: which channels are subscribed to, and how each is delivered.

A room's channel is heard from its first session on this node to its last.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from time import time_ns

import anyio

from lbproto.backends.base import PubSub
from lbproto.delivery.forward import Forwarded, beside, forwarded
from lbproto.delivery.hub import Hub
from lbproto.events import Event
from lbproto.messages import SessionLost, UserJoinedRoom, UserLeftRoom
from lbproto.registry import RESERVED, Registry
from lbproto.rooms.index import Rooms

__all__ = ["Inflow"]

logger = logging.getLogger(__name__)


class Inflow:
    """Receives what other nodes publish, and delivers it to this node's members.

    Args:
        pubsub: the way from the other nodes.
        rooms: the members of rooms.
        registry: the events that there are.
        hub: delivers.
    """

    def __init__(self, pubsub: PubSub, rooms: Rooms, registry: Registry, hub: Hub) -> None:
        self._pubsub = pubsub
        self._rooms = rooms
        self._registry = registry
        self._hub = hub
        self._listening: dict[str, Callable[[bytes], None]] = {}
        self._deserted: set[str] = set()
        self._told_lost: set[str] = set()  # ids of sessions, while one loss is told after another
        self._wake = anyio.Event()
        self._leaving: tuple[str, anyio.Event] | None = None  # the room being unsubscribed from

    @property
    def ready(self) -> bool:
        """Whether messages of other nodes arrive, as far as known."""
        return self._pubsub.ready

    async def arrive(self, room: str) -> None:
        """A session is about to join: have the room's events from the other nodes."""
        if self._leaving is not None and self._leaving[0] == room:
            await self._leaving[1].wait()  # or its end could undo what is begun here
        await self._pubsub.subscribe(room)
        self.depart(room)  # the session may be gone again

    def depart(self, room: str) -> None:
        """A session has left; once nobody is in the room, its events are no longer asked for."""
        if self._rooms.get(room) is None:
            self._deserted.add(room)
            self._wake.set()

    async def listen(self, channel: str, take: Callable[[bytes], None]) -> None:
        """Have what other nodes send by a channel that is not a room's; returns once that holds."""
        self._listening[channel] = take
        await self._pubsub.subscribe(channel)

    def ignore(self, channel: str) -> None:
        """Have nothing more of what is sent by such a channel."""
        self._listening.pop(channel, None)

    async def run(self) -> None:
        """Receive messages of other nodes, until cancelled."""
        self._wake = anyio.Event()  # of this event loop: a server may be run again in another
        if self._deserted:
            self._wake.set()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._unsubscribe_deserted)
            async for room, payload in self._pubsub.messages():
                try:
                    self._take(room, payload)
                except Exception:
                    logger.exception("a message from another node was not delivered")

    def _take(self, channel: str, payload: bytes | None) -> None:
        take = self._listening.get(channel)
        if payload is None:
            if take is None:
                self._tell_lost(channel)
            return
        if self._told_lost:
            self._told_lost.clear()
        if take is not None:
            take(payload)
        elif not channel.startswith(RESERVED):  # one that is ignored by now
            self._receive(channel, payload)

    def _receive(self, room: str, payload: bytes) -> None:
        remote = forwarded(payload)
        event = self._restored(remote)
        if event is None:
            return
        began = time_ns() if remote.trace else 0
        receipt = self._hub.deliver(room, (event,), remote.except_)
        if remote.trace and receipt.matched and self._hub.traces is not None:
            pattern = self._registry.room(room)[0].pattern
            self._hub.traces.delivered(remote.trace, remote.event, pattern, began, receipt.matched)

    def _restored(self, remote: Forwarded) -> Event | None:
        event = self._registry.received(remote.event, remote.payload)
        if event is None:
            logger.error(
                "another node sent %r, which no plugin here declares as it is", remote.event
            )
        return event

    def _tell_lost(self, room: str) -> None:
        """What was published to a room is lost: everybody there is told, once for all its rooms."""
        for member in self._rooms.members(room):
            if member.sid not in self._told_lost:
                self._told_lost.add(member.sid)
                self._hub.send(member, SessionLost())

    async def missed(
        self, behind: Mapping[str, Collection[str]], sid: str, user_id: str
    ) -> list[Event] | None:
        """What has been published to rooms, was meant for a session, and has come here by now.

        Args:
            behind: the rooms, with positions in terms of all nodes that it had got to.

        Returns:
            In order; None where something may be missing.

        Raises:
            Overloaded: the log cannot be reached.
        """
        besides = {beside(room): positions for room, positions in behind.items()}
        kept = await self._pubsub.missed({**behind, **besides})
        if kept is None:
            return None
        found: list[Event] = []
        told: dict[tuple[str, str], type[Event]] = {}  # of users and rooms, once
        for _, payload in kept:
            remote = forwarded(payload)
            event = None if sid in remote.except_ else self._restored(remote)
            if isinstance(event, UserJoinedRoom | UserLeftRoom):
                user, kind = (event.room, event.user_id), type(event)
                if event.user_id == user_id or told.get(user) is kind:
                    continue
                told[user] = kind
            if event is not None:
                found.append(event)
        return found

    async def catch_up(self) -> None:
        """Return once what has been published by now, here and elsewhere, has come here.

        Raises:
            Overloaded: the log cannot be reached.
        """
        await self._pubsub.catch_up()

    async def _unsubscribe_deserted(self) -> None:
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            while self._deserted:
                room = self._deserted.pop()
                if self._rooms.get(room) is None:
                    await self._unsubscribe(room)

    async def _unsubscribe(self, room: str) -> None:
        done = anyio.Event()
        self._leaving = room, done
        try:
            await self._pubsub.unsubscribe(room)
        finally:
            self._leaving = None
            done.set()
