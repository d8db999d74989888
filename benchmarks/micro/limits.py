"""Limits: what it costs to count a request, by three windows of its user and one of its session.

The floor is a counter in a dictionary.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.lbproto_server import bench
from benchmarks.micro.operation import Operation, Prepared, calling
from lbproto import Identity, Limits, OutboxStatistics, Server, Session, StaticTokens, Tier, Window
from lbproto.delivery.outbox import Pushed
from lbproto.wire import CloseCode, Frame, Inbound, Peer, Socket
from lbproto.wire.arguments import JSONArguments
from lbproto.wire.socketio import json_format

__all__ = ["LIMITS", "OPERATIONS", "Nowhere"]

COUNT = "count a request against limits"
_MOST = 10**12  # so that nothing is ever refused
LIMITS = Limits(
    tiers={"free": Tier(Window(_MOST, 60), Window(_MOST, 3_600), Window(_MOST, 86_400))},
    per_session=Window(_MOST, 1),
)


def _queued(_frame: Frame) -> int:
    return Pushed.QUEUED


class Nowhere(Socket):
    """A socket that nobody is at the other end of."""

    def __init__(self) -> None:
        super().__init__("sid", "/", Peer(), json_format("/"))

    @property
    def push(self) -> Callable[[Frame], int]:
        return _queued

    def disconnect(self, code: CloseCode = CloseCode.NORMAL, reason: str = "") -> None: ...

    def close(self, code: CloseCode, reason: str) -> None: ...

    async def wait_drained(self) -> None: ...

    def statistics(self) -> OutboxStatistics:
        return OutboxStatistics()


def _count() -> Prepared:
    server = Server([bench()], auth=StaticTokens({}), limits=LIMITS)
    throttle = server.sessions._throttle  # noqa: SLF001 - nothing else is to be measured
    assert throttle is not None  # noqa: S101 - there are limits
    session = Session(Identity("user"), Nowhere(), "", 0, 0)
    return calling(throttle.admits, session, Inbound("place_order", JSONArguments([]), None))


def _floor() -> Prepared:
    counted = {"user": 0}

    def count(user: str) -> None:
        counted[user] += 1

    return calling(count, "user")


OPERATIONS = (
    Operation(COUNT, "floor", _floor, count=20_000),
    Operation(COUNT, "lbproto", _count),
)
