"""What `call` and `listen` do with a connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from lbproto.cli.client import Heard, connect

__all__ = ["call", "listen"]

_REQUEST = 1
_BARRIER = 2

Show = Callable[[Heard], None]


async def call(url: str, token: str, event: str, data: Any, show: Show) -> bool:
    """Send one request and show the events that answer it.

    A server handles a session's requests in order. So a `ping` is sent behind it, and when its
    answer comes, the request has got all of its own.

    Returns:
        Whether none of them was a refusal.

    Raises:
        Failure: see `connect`; or the connection was lost.
    """
    accepted = True
    async with connect(url, token) as client:
        await client.send(event, data, _REQUEST)
        await client.send("ping", {}, _BARRIER)
        while (heard := await client.receive()).re != _BARRIER:
            if heard.re == _REQUEST:
                show(heard)
                accepted = accepted and not heard.refusal
    return accepted


async def listen(url: str, token: str, rooms: Sequence[str], count: int | None, show: Show) -> bool:
    """Subscribe to rooms and show what comes, until there were `count` events; None: for ever.

    Returns:
        Whether all rooms let us in; it ends at the first that does not.

    Raises:
        Failure: see `connect`; or the connection was lost.
    """
    async with connect(url, token) as client:
        for number, room in enumerate(rooms, start=1):
            await client.send("subscribe", {"room": room}, number)
        shown = 0
        while shown != count:
            heard = await client.receive()
            show(heard)
            shown += 1
            if heard.re is not None and heard.refusal:
                return False
    return True
