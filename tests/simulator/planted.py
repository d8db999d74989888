"""Faults as somebody might make them, each in place of a method that does it right."""

from __future__ import annotations

from typing import Any

from lbproto.connection.base import Connection
from lbproto.credits.holds import Holds
from lbproto.delivery.log import Entry, Log
from lbproto.errors import Cancelled, RequestError
from lbproto.jobs.work import Work
from lbproto.middleware.errors import error_event
from lbproto.rooms.index import Member, Rooms
from lbproto.rooms.membership import Membership
from lbproto.sessions.session import Session

__all__ = ["PLANTED"]


async def _flush_once(self: Connection) -> None:
    """What is queued while it sends wakes nobody: it does not look again."""
    if frames := self.outbox.take():
        try:
            await self.transport.send(frames)
        except OSError:
            self.lost("transport close")
            return
    self._tell_drained()
    if self.closing is not None and not self.closed:
        await self._finish(*self.closing)


async def _settle_anew(self: Holds) -> None:
    """What may be settled is settled again, under another id."""
    for hold, amount in list(self._unsettled.items()):
        await self._collect(hold, amount)
        del self._unsettled[hold]


_missed = Rooms.missed


def _missed_unsorted(self: Rooms, member: Member, position: int) -> list[Entry]:
    """The newest first, as the lanes have it."""
    return _missed(self, member, position)[::-1]


def _fade_silently(self: Membership, session: Session) -> None:
    """Nobody is told of one who has been away for too long."""
    self._rooms.uncount(session)


_position_of = Log.position_of


def _position_behind(self: Log, offset: object) -> int | None:
    """A client is taken to have got one event more than it has."""
    position = _position_of(self, offset)
    return None if position is None else min(position + 1, self.position)


def _cancel_quietly(self: Work, error: RequestError | None = None) -> None:
    """The end of a job is told once its handler has unwound."""
    self.scope.cancel()
    self._changed.set()


_close = Work.close


def _tell_and_close(self: Work) -> None:
    if not self.ended:
        self.fail(error_event(self.ctx, Cancelled("The job was cancelled")))
    _close(self)


PLANTED: dict[str, list[tuple[Any, str, Any]]] = {
    "lost wake-up": [(Connection, "flush", _flush_once)],
    "double settle": [(Holds, "_settle_again", _settle_anew)],
    "reorder on resume": [(Rooms, "missed", _missed_unsorted)],
    "ghost member": [(Membership, "fade", _fade_silently)],
    "skipped offset": [(Log, "position_of", _position_behind)],
    "late terminal event": [(Work, "cancel", _cancel_quietly), (Work, "close", _tell_and_close)],
}
