"""Sessions that outlive their connections: for how long, and what is replayed on return."""

from __future__ import annotations

from dataclasses import dataclass

from lbproto.context import Context
from lbproto.delivery.hub import Hub
from lbproto.delivery.log import Log
from lbproto.delivery.outbox import Pushed
from lbproto.dispatch import Dispatcher
from lbproto.errors import Overloaded, UsageError
from lbproto.messages import Subscribe
from lbproto.middleware.errors import errors
from lbproto.rooms.index import Rooms
from lbproto.rooms.membership import Membership
from lbproto.sessions.session import Session
from lbproto.transport import TOO_SLOW
from lbproto.validation.mistakes import check_bounds
from lbproto.wire.port import Socket
from lbproto.wire.settings import Settings

__all__ = ["JOINING", "Recovery", "recheck", "replay", "resumable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Times in seconds, sizes in bytes.

    Attributes:
        window: how long a session waits for its client to come back; what it misses is kept as
            long.
        grace: how long it goes on counting in its rooms; then the others are told that it has left.
        max_events: events kept for all sessions together.
        max_bytes: bytes that they may take.
        max_bytes_alone: bytes of what was sent to one session alone; so that the answers to one
            client do not drive out what others have missed.
        max_away: disconnected sessions kept at a time; beyond it the longest away is ended.

    Raises:
        UsageError: the grace is longer than the window, or a number is not above 0; but there may
            be no grace.
    """

    window: float = 120.0
    grace: float = 15.0
    max_events: int = 100_000
    max_bytes: int = 64 * 1024 * 1024
    max_bytes_alone: int = 4 * 1024 * 1024
    max_away: int = 10_000

    def __post_init__(self) -> None:
        check_bounds(self, zero=("grace",))
        if self.grace > self.window:
            raise UsageError("recovery: the grace cannot be longer than the window")


# Without recovery the log serves those only who are just joining a room: this is how long that may
# take.
JOINING = Recovery(window=60.0)

_BATCH_FRAMES = 1_024
_BATCH_BYTES = 256 * 1024


async def recheck(
    session: Session, room: str, membership: Membership, dispatcher: Dispatcher
) -> bool:
    """Ask again whether a session may be in a room; else it is taken out, and told why.

    Returns:
        Whether it may.

    Raises:
        Overloaded: that cannot be told now.
    """
    if room == session.personal_room:
        return True
    allowed = False
    unknown: Overloaded | None = None

    async def check(ctx: Context) -> None:
        nonlocal allowed, unknown
        try:
            await membership.recheck(ctx, room)
            allowed = True
        except Overloaded as error:
            unknown = error

    await errors(dispatcher.context(session, Subscribe(room=room)), check)
    if unknown is not None:
        raise unknown
    return allowed


async def resumable(
    session: Session,
    offset: object,
    log: Log,
    rooms: Rooms,
    membership: Membership,
    dispatcher: Dispatcher,
) -> int | None:
    """How far a session's client has got; its rights are looked at again.

    Args:
        offset: what the client says; None for no event at all.

    Returns:
        None where something that it has missed is gone.

    Raises:
        Overloaded: whether it may be in its rooms cannot be told now.
    """
    position = log.position_of(session.offset_here(offset))
    if position is None or not rooms.reaches(session, position):
        return None
    for room in membership.rooms(session):
        await recheck(session, room, membership, dispatcher)
    if session.closed or not rooms.reaches(session, position):
        return None  # it took too long
    return position


async def replay(
    session: Session, socket: Socket, position: int, rooms: Rooms, hub: Hub, settings: Settings
) -> int | None:
    """Send a session what it has missed, no faster than its client takes it.

    Meanwhile what is new goes to the log only. On return, without a turn of the event loop in
    between, the client has been sent everything.

    Args:
        position: how far the client had got in the log.
        settings: the bounds of its outbox, of which this takes no more than half.

    Returns:
        How many events it has been sent; None where the client was lost again, or was slower than
        the log: then the transport is being closed.
    """
    sent = 0
    most_frames = min(_BATCH_FRAMES, settings.max_queued_frames // 2)
    most_bytes = min(_BATCH_BYTES, settings.max_queued_bytes // 2)
    while True:
        if not rooms.reaches(session, position):
            socket.close(*TOO_SLOW)
            return None
        missed = rooms.missed(session, position)
        size = 0
        for count, entry in enumerate(missed):
            frame = hub.frame(entry, socket.format)
            if count and (count >= most_frames or size + len(frame.data) > most_bytes):
                break
            sent += socket.push(frame) is not Pushed.CONFLATED
            size += len(frame.data)
            position = entry.position
        else:
            return sent
        await socket.wait_drained()
        if session.socket is not socket:
            return None
