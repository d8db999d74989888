"""Conversations in the server's storage: what was said, and whose turn it is on all nodes.

Theory of operation. A conversation is a record under its user's name, so that another user's of
the same id is another one. Turns of one node take turns by themselves (`Stages.waiting`); among
nodes that share a storage, whoever has put the lease may go on. It is renewed while the turn goes
on, and lapses when its node dies. A turn whose lease is gone ends without saying anything more.

    lbproto-chat/<digest of user>/<digest of application and conversation>          `Exchange`s
    lbproto-chat/<digest of user>/<digest of application and conversation>/turn     the lease

No key is made of an id as it is: ids are of any length and may have any character.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from hashlib import sha256
from secrets import token_bytes
from typing import TypeVar

import anyio
import msgspec

from lbproto import Context, Event, Overloaded, RequestError
from lbproto_chat.answerers import Exchange
from lbproto_chat.beside import beside
from lbproto_chat.tokens import about

__all__ = ["Conversation", "Conversations"]

logger = logging.getLogger(__name__)

_LEASE = 15.0  # seconds
_RENEWED = 5.0  # seconds between renewals
_POLL_SECONDS = 0.25  # seconds between two looks whether another node's turn is over
_UNWINDING = 2.0  # seconds that the storage has when a turn was cancelled
_MAX_RECORD_BYTES = 256 * 1024  # bytes of a record

T = TypeVar("T", bound=Event)

_decoder = msgspec.json.Decoder(tuple[Exchange, ...])


class Conversations:
    """How conversations are kept.

    Args:
        window: tokens of what was said that a turn is given, about; older ones are forgotten.
        retention: seconds after the last turn until a conversation is forgotten.
        patience: seconds that a turn waits for another node to end its turn.
    """

    def __init__(
        self,
        *,
        window: int = 2_000,
        retention: float = 30 * 86_400.0,
        patience: float = 60.0,
    ) -> None:
        self._window = window
        self._retention = retention
        self._patience = patience

    async def take_turn(
        self,
        ctx: Context,
        application_id: str,
        conversation_id: str,
        turn: Callable[[Conversation], Awaitable[T]],
    ) -> T:
        """Have a turn of a conversation.

        Args:
            turn: what is done in it.

        Returns:
            What that returns.

        Raises:
            Overloaded: another node's turn does not end, or the storage is out of reach.
            Exception: what the turn raises.
        """
        key = _key(ctx.user_id, application_id, conversation_id)
        conversation = Conversation(ctx, key, self._window, self._retention)
        await conversation.begin(self._patience)
        try:
            result = await beside(conversation.renew, partial(turn, conversation))
        finally:
            await conversation.end()
        if result is None:
            raise Overloaded("The turn has lost its place: ask again", retry_after=1)
        return result


class Conversation:
    """One conversation, while a turn of it goes on."""

    def __init__(self, ctx: Context, key: str, window: int, retention: float) -> None:
        self._is_lost = False  # the lease is another's, or may be
        self._storage = ctx.storage
        self._clock = ctx.clock
        self._key = key
        self._turn = f"{key}/turn"
        self._token = token_bytes(16)
        self._window = window
        self._retention = retention
        self._history: tuple[Exchange, ...] = ()

    async def begin(self, patience: float) -> None:
        """Wait for the lease."""
        until = self._clock.monotonic() + patience
        while not await self._storage.put_new(self._turn, self._token, ttl=_LEASE):
            if self._clock.monotonic() >= until:
                raise Overloaded("Another turn of this conversation goes on", retry_after=1)
            await self._clock.sleep(_POLL_SECONDS)

    async def renew(self, scope: anyio.CancelScope) -> None:
        """Keep the lease; cancels the scope where it is lost."""
        renewed = self._clock.monotonic()
        while not self._is_lost:
            await self._clock.sleep(_RENEWED)
            try:
                self._is_lost = await self._storage.get(self._turn) != self._token
                if not self._is_lost:
                    await self._storage.put(self._turn, self._token, ttl=_LEASE)
                    renewed = self._clock.monotonic()
            except RequestError:  # out of reach: the lease runs still, for a while
                self._is_lost = self._clock.monotonic() > renewed + _LEASE - _RENEWED
        scope.cancel()

    async def end(self) -> None:
        """Give up the lease."""
        with anyio.move_on_after(_UNWINDING, shield=True):
            try:
                if not self._is_lost:
                    await self._storage.delete(self._turn)
            except RequestError as error:
                logger.warning("The lease of a turn lapses by itself: %s", error)

    async def history(self) -> tuple[Exchange, ...]:
        """What was said, the oldest first, as much as fits the window.

        Raises:
            Overloaded: the storage is out of reach.
        """
        value = await self._storage.get(self._key)
        if value is not None:
            try:
                self._history = _decoder.decode(value)
            except msgspec.DecodeError as error:
                logger.warning("A conversation cannot be read, and begins anew: %s", error)
        return self._history

    async def add(self, exchange: Exchange) -> None:
        """Remember a turn; a cancellation waits for that. Nothing where the lease is lost."""
        kept = _newest((*self._history, exchange), self._window)
        value = msgspec.json.encode(kept)
        if len(value) > _MAX_RECORD_BYTES:
            value = b"[]"
        with anyio.move_on_after(_UNWINDING, shield=True):
            try:
                if await self._storage.get(self._turn) == self._token:
                    await self._storage.put(self._key, value, ttl=self._retention)
            except RequestError as error:
                logger.warning("A turn is not remembered: %s", error)

    async def forget(self) -> bool:
        """Remove what was said.

        Returns:
            Whether there was anything.

        Raises:
            Overloaded: the storage is out of reach.
        """
        return await self._storage.delete(self._key)


def _newest(exchanges: tuple[Exchange, ...], window: int) -> list[Exchange]:
    kept: list[Exchange] = []
    for exchange in reversed(exchanges):
        window -= about(exchange.question) + about(exchange.answer) + about(exchange.sql or "")
        if window < 0:
            break
        kept.append(exchange)
    return kept[::-1]


def _key(user_id: str, application_id: str, conversation_id: str) -> str:
    named = msgspec.json.encode([application_id, conversation_id])
    return f"lbproto-chat/{_digest(user_id.encode(errors='surrogatepass'))}/{_digest(named)}"


def _digest(data: bytes) -> str:
    return sha256(data).hexdigest()
