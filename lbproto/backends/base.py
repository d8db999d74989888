"""The ports to storage and to the other nodes. Bytes only: a backend never sees an event.

All are async context managers that the server enters before it accepts connections and leaves
after the last one is gone. `lbproto.backends.memory` is the reference for the first two.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from types import TracebackType
from typing import Protocol, Self

from lbproto.operations.statistics import PubSubStatistics

__all__ = ["MAX_CHILDREN", "LimitStore", "Port", "PubSub", "Storage", "divided"]


MAX_CHILDREN = 1_000
"""How many records `Storage.children` answers at most."""


class Port(Protocol):
    """An async context manager, entered before use and left afterwards; does nothing by default."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        return None


class Storage(Port, Protocol):
    """Small records by key, shared by every node that uses the same storage.

    Keys are 1-512 characters of Unicode, values at most 1 MiB. A key is a path: the parent of
    `jobs/ada/7` is `jobs/ada`, that of `jobs` is nothing. A record with a time to live is gone once
    that has passed, whether or not anybody reads it.

    Any call raises `lbproto.errors.Overloaded` where the storage cannot be reached; whether a
    record was written is not known then.

    Attributes:
        durable: whether records outlive the process, so that another one finds them.
    """

    durable: bool = False

    async def get(self, key: str) -> bytes | None:
        """The value of `key`, or None where there is none."""
        ...

    async def put(self, key: str, value: bytes, *, ttl: float | None = None) -> None:
        """Set `key`; `ttl` in seconds (> 0), None for ever. Replaces value and time to live."""
        ...

    async def put_new(self, key: str, value: bytes, *, ttl: float | None = None) -> bool:
        """Set `key` where there is none; of several who try at once one succeeds.

        Returns:
            Whether it was set.
        """
        ...

    async def delete(self, key: str) -> bool:
        """Remove `key`; of several who try at once one succeeds.

        Returns:
            Whether there was one.
        """
        ...

    async def increment(self, key: str, by: int = 1) -> int:
        """Add to the decimal integer at `key` (0 where there is none), atomically.

        Returns:
            The new value. A value of 0 is kept; the time to live is left as it is.

        Raises:
            ValueError: the value there is no decimal integer.
        """
        ...

    async def children(self, parent: str) -> dict[str, bytes]:
        """The records directly beneath `parent`, by what follows its name and the "/".

        At most `MAX_CHILDREN`, whichever. Each is as it was at some moment of the call. They are
        answered whole: list what is small.
        """
        ...


def divided(key: str) -> tuple[str, str]:
    """A key as a storage may keep it: all up to the last "/", with that, and its name there."""
    cut = key.rfind("/") + 1
    return key[:cut], key[cut:]


class PubSub(Port, Protocol):
    """Messages between the nodes of one application. A node never gets its own back.

    Delivery is at most once and in order per publisher and channel; what is lost for a node is told
    to it. One that keeps a log of what was published can tell a node what another one had not been
    given yet.

    Attributes:
        position: how far this node has got: what it has published to be kept, and what `messages`
            has given it. Opaque to all but `missed`, of any node of the application; at most 256
            characters: parts of `A-Z a-z 0-9 _ -`, two at least, with colons between them. "" where
            there is no log.
    """

    position: str = ""

    @property
    def ready(self) -> bool:
        """Whether it hears the other nodes, as far as it can tell."""
        return True

    def statistics(self) -> PubSubStatistics:
        """The backend's figures."""
        return PubSubStatistics()

    def publish_nowait(self, channel: str, payload: bytes, *, kept: bool = False) -> None:
        """Hand over one message for the other nodes; queues and returns.

        Args:
            kept: whether it belongs into the log, where there is one. It belongs to this node's
                `position` as soon as this returns.

        Raises:
            lbproto.errors.Overloaded: the bounded publish buffer is full; nothing was sent.
            lbproto.errors.LimitExceeded: the message is larger than can be sent.
        """
        ...

    def is_awaited(self, channel: str, *, kept: bool = False) -> bool:  # noqa: ARG002 - if it can
        """Whether anything need be published: not where no other node has subscribed.

        True where that cannot be told at once.

        Args:
            kept: whether it belongs into the log, where there is one: then it always is.
        """
        return True

    async def subscribe(self, channel: str) -> None:
        """Receive the channel from now on; returns once that holds.

        While nothing is received at all, since a broker is away, it returns at once: the channel
        is received as soon as the others are.
        """
        ...

    async def unsubscribe(self, channel: str) -> None:
        """Receive the channel no longer; no error where it was not subscribed."""
        ...

    def messages(self) -> AsyncIterator[tuple[str, bytes | None]]:
        """The messages of all subscribed channels as `(channel, payload)`; one reader only.

        None in place of a payload: something that was published to the channel, and that ought to
        come here, is lost for this node, and not in the log either.
        """
        ...

    async def catch_up(self) -> None:
        """Return once this node's `position` has all that was in the log when this was called.

        Then all that was published before this node subscribed to a channel is in its position,
        though it was not given it, and all that comes later is not.

        Raises:
            lbproto.errors.Overloaded: the log cannot be reached.
        """
        return

    async def missed(
        self,
        behind: Mapping[str, Collection[str]],  # noqa: ARG002 - for those with a log
    ) -> Sequence[tuple[str, bytes]] | None:
        """What is in this node's position by now and not in others': kept messages, in order.

        Args:
            behind: the channels, each with positions (of this node or others, at any time): what
                belongs to one of these is left out.

        Returns:
            `(channel, payload)`; None where something of it may be gone, or where it cannot be
            told: by positions of another log, or of a node whose latest messages have not come to
            the log and do not come within a second.

        Raises:
            lbproto.errors.Overloaded: the log cannot be reached.
        """
        return None


class LimitStore(Port, Protocol):
    """Request counts of users, shared by all nodes that use the same store.

    For each user and window it keeps one moment, `until`, by its own clock: when all that was let
    through is paid for (see `lbproto.limits`). Once that has passed it need not be kept. All times
    are whole nanoseconds.
    """

    async def take(
        self, user_id: str, windows: Sequence[tuple[int, int, int]], weight: int
    ) -> tuple[bool, Sequence[int]]:
        """Admit a request by all windows or by none, atomically.

        By each, `until` (or now, if that is later) moves by `weight` intervals, to no more than a
        reach from now; else the request is not let through, and nothing moves.

        Args:
            user_id: whose it is.
            windows: the length, the interval and the reach of each. A user's windows are told apart
                by their lengths. What was used by another interval is used in proportion.
            weight: at least 1, and nowhere more than goes through at once.

        Returns:
            Whether it is let through, and how far `until` is ahead of now for each window, after
            that; 0 where it is not.

        Raises:
            Overloaded: the store cannot be reached, or does not answer in time.
        """
        ...
