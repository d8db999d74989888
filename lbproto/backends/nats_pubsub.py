"""Pub/sub over NATS; needs `lbproto[nats]`.

The subject of a channel, and of what a node sends to itself, is the prefix, a dot, and its name in
base64: it may hold whatever a subject may not.
"""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from secrets import token_hex

from lbproto.backends.brokered import BrokeredPubSub
from lbproto.backends.link import Confirm, Deliver, Link, finish
from lbproto.backends.parcels import OVERHEAD, Packed
from lbproto.errors import UsageError
from lbproto.extras import extra

with extra("nats", __name__):
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription
    from nats.errors import Error

__all__ = ["NATSPubSub"]


class NATSPubSub(BrokeredPubSub["_NATSLink"]):
    """The way to the other nodes by NATS 2, one server or a cluster; without JetStream.

    Each node has one of its own, with the same prefix. All else is as with `RedisPubSub`, but that
    in a cluster of NATS others may hear a node a moment later than it has subscribed.

    Args:
        urls: `nats://[user:password@]host:port`, or `tls://`; of a cluster, several.
        prefix: what all subjects begin with. Applications that share a server each have their own.
        max_payload: of how many bytes a message may be; a little less than the server takes.

    Raises:
        UsageError: there is no URL.
    """

    failures = (Error,)

    async def _connect(self) -> _NATSLink:
        link = _NATSLink(self._prefix, self._timeout)
        try:
            await link.open(list(self._urls), self._max_payload + OVERHEAD)
        except BaseException:
            await finish(link.close())
            raise
        return link

    async def _send(self, link: _NATSLink, packed: Sequence[Packed]) -> None:
        await link.publish([(self._name(each.channel), each.data) for each in packed])

    async def _send_echoes(self, link: _NATSLink) -> None:
        await link.publish([(name, b"") for name in self._echoes()])


class _NATSLink(Link):
    """A connection to NATS; it is lost for good when it is lost, and does not come back by itself.

    Args:
        prefix: what all subjects begin with.
        timeout: for how long anything may take, in seconds.
    """

    def __init__(self, prefix: str, timeout: float) -> None:
        self._prefix = prefix
        self._timeout = timeout
        self._client = Client()
        self._subscriptions: dict[str, Subscription] = {}
        self._marker = f"{prefix}._{token_hex(8)}"  # no name begins so in base64
        self._marks: deque[asyncio.Future[None]] = deque()
        self._deliver: Deliver = _too_early
        self._confirm: Confirm = _too_early
        self._failure: Exception = ConnectionError("the connection is lost")
        self._lost = asyncio.Event()

    async def open(self, urls: list[str], max_payload: int) -> None:
        """Connect to one of them.

        Raises:
            UsageError: it does not let this node in, or does not take messages as large.
            OSError, nats.errors.Error: none of them can be reached.
        """
        try:
            await self._client.connect(
                urls,
                allow_reconnect=False,
                max_reconnect_attempts=1,  # for each of them; 0 would be for ever
                reconnect_time_wait=0,
                error_cb=self._failed,
                closed_cb=self._closed,
                skip_subject_validation=True,  # in base64 they all are right
            )
        except Error:
            self._check()
            raise self._failure from None  # it says why there are no servers
        if self._client.max_payload < max_payload:
            raise UsageError(
                f"The NATS server takes {self._client.max_payload} bytes at most: "
                "have it take more, or give the NATSPubSub a smaller max_payload"
            )
        self._lost.clear()
        await self._client.subscribe(self._marker, cb=self._marked)

    async def publish(self, messages: Sequence[tuple[str, bytes]]) -> None:
        """Send messages, by name; returns once the broker has taken them. One call at a time."""
        for name, data in messages:
            await self._client.publish(self._subject(name), data)
        await self._taken()

    async def change(self, added: Collection[str], removed: Collection[str]) -> None:
        for name in removed:
            await self._subscriptions.pop(name).unsubscribe()
        for name in added:
            take = partial(self._take, name)
            subscribed = await self._client.subscribe(self._subject(name), cb=take)
            self._subscriptions[name] = subscribed
        await self._taken()
        for name in added:
            self._confirm(name)

    async def receive(self, deliver: Deliver, confirm: Confirm) -> None:
        self._deliver, self._confirm = deliver, confirm
        await self._lost.wait()
        self._check()
        raise self._failure

    async def close(self) -> None:
        with suppress(OSError, Error):
            async with asyncio.timeout(self._timeout):  # it waits for what is not sent yet
                await self._client.close()

    async def _taken(self) -> None:
        """Wait until the server has done all it was asked for.

        The client's own `flush` does not tell: its PING overtakes what is still to be written.
        """
        marked = asyncio.get_running_loop().create_future()
        self._marks.append(marked)
        await self._client.publish(self._marker)
        await marked

    async def _marked(self, _: Msg) -> None:
        marked = self._marks.popleft()
        if not marked.done():  # it is, where nobody waits any more
            marked.set_result(None)

    async def _take(self, name: str, message: Msg) -> None:
        self._deliver(name, message.data)

    async def _failed(self, error: Exception) -> None:
        """Whatever it is, it does not go on as if nothing had happened."""
        self._failure = error
        self._lost.set()

    async def _closed(self) -> None:
        self._lost.set()

    def _check(self) -> None:
        if any(each in str(self._failure).lower() for each in ("authorization", "permissions")):
            raise UsageError(f"NATS refuses the connection: {self._failure}")

    def _subject(self, name: str) -> str:
        encoded = urlsafe_b64encode(name.encode("utf-8", "surrogatepass")).decode()
        return f"{self._prefix}.{encoded.rstrip('=')}"


def _too_early(*_: object) -> None:
    """Nothing comes before there is somebody to receive it."""
