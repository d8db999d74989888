"""An app for several workers: each says which process it is, and a room is heard by all."""

from __future__ import annotations

import os
from typing import Any

from lbproto import Context, Event, Identity, Plugin, Server, Unauthorized
from lbproto.transport import Peer


class Where(Event):
    """Which process serves this client?"""


class Here(Event):
    pid: int


class Shout(Event):
    """Tell everybody."""

    text: str


class Shouted(Event):
    text: str
    pid: int


def working() -> Plugin:
    plugin = Plugin("working")
    plugin.emits(Shouted)

    @plugin.room("hall", announce=False)
    async def hall(_ctx: Context) -> None: ...

    @plugin.on(Where)
    async def where(_ctx: Context, _request: Where) -> Here:
        return Here(pid=os.getpid())

    @plugin.on(Shout)
    async def shout(ctx: Context, request: Shout) -> None:
        ctx.to("hall").emit(Shouted(text=request.text, pid=os.getpid()))

    return plugin


class _Tokens:
    """A token is its user's id."""

    async def authenticate(self, token: str, peer: Peer) -> Identity:
        if not token:
            raise Unauthorized("no token")
        return Identity(token)


def make(**options: Any) -> Server:
    return Server([working()], auth=_Tokens(), **options)


def misused(**options: Any) -> Server:
    """A server that cannot be made."""
    return Server([working(), working()], auth=_Tokens(), **options)
