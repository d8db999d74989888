"""The events that every server has: of the System domain, of errors, and about credits.

Extensions of the published reference are `authenticate`, `session_expiring`, `recovered`,
`session_lost`, `answers_lost`, `events_dropped`, `server_draining`, `error`, and `cancel`, `attach`
and `attached`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from lbproto.events import ErrorEvent, Event, Secret

__all__ = [
    "AnswersLost",
    "Attach",
    "Attached",
    "Authenticate",
    "Cancel",
    "Connected",
    "CreditBalanceUpdated",
    "CreditsDeducted",
    "CreditsGranted",
    "CreditsInsufficient",
    "Error",
    "EventsDropped",
    "Ping",
    "Pong",
    "RateLimitError",
    "Recovered",
    "ServerDraining",
    "SessionExpiring",
    "SessionLost",
    "Subscribe",
    "Subscribed",
    "Unsubscribe",
    "Unsubscribed",
    "UserJoinedRoom",
    "UserLeftRoom",
    "ValidationError",
]

_JobId = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
_RoomName = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class Connected(Event):
    """The session is authenticated and in its personal room.

    `pid` (extension) is the private id to resume it by, for clients that do not see the one in
    Socket.IO's own answer to a connection.
    """

    user_id: str
    sid: str
    timestamp: str
    pid: Annotated[str | None, Secret] = None


class Recovered(Event):
    """The session goes on: the `missed` events before this one are what was sent meanwhile."""

    missed: int


class SessionLost(Event):
    """Events are lost for good: subscribe again, and first messages tell the current state.

    After `connected`, the session that the client wanted to resume is gone, and this is a new one,
    in no room yet. At any other time it is the same, in its rooms: what other nodes sent is lost.
    """


class AnswersLost(Event):
    """What was sent to this session alone may be missing, as when its former node has died.

    That is answers to requests, first messages of rooms, and events of jobs: ask again with the
    same `requestId`, `subscribe` again, and `attach`. The session goes on, in its rooms.
    """


class EventsDropped(Event):
    """The client was too slow: `count` events were dropped before this one, by their policy."""

    count: int


class Authenticate(Event):
    """Renew the session with a newer token of the same user."""

    token: Annotated[str, Secret]


class SessionExpiring(Event):
    """The token's life ends, and with it the session, unless it is renewed by `authenticate`."""

    expires_at: str


class Ping(Event):
    """Is the server there?"""


class Pong(Event):
    """The server is there; `timestamp` is by its clock."""

    timestamp: str


class Subscribe(Event):
    """Let this session into a room."""

    room: _RoomName


class Unsubscribe(Event):
    """Take this session out of a room."""

    room: _RoomName


class Cancel(Event):
    """End a job of one's own; its failure event, with the code `CANCELLED`, follows at once."""

    id: _JobId


class Attach(Event):
    """Follow a running job of one's own on this session, too.

    `after` says how many of its events are known here already; the ones after those come first, as
    far as they are kept. A job that was lost with its node is answered by its failure.
    """

    id: _JobId
    after: Annotated[int, msgspec.Meta(ge=0)] = 0


class Attached(Event):
    """What follows are the job's events after the first `after`.

    `after` is higher than was asked for if older ones are no longer kept.
    """

    id: str
    after: int


class Subscribed(Event):
    """The session is in; `subscriber_count` sessions are, this one included."""

    room: str
    subscriber_count: int


class Unsubscribed(Event):
    """The session is not, or no longer, in the room."""

    room: str


class UserJoinedRoom(Event):
    """To the others in a room: a user has joined, with a first session."""

    user_id: str
    room: str
    joined_at: str


class UserLeftRoom(Event):
    """To the others in a room: a user has left, with the last session."""

    user_id: str
    room: str
    left_at: str


class ServerDraining(Event):
    """The server stops: in `retry_after` seconds this connection is closed; connect again then."""

    retry_after: int


class CreditBalanceUpdated(Event):
    """A balance has changed; `version` (extension) grows by one each time: ignore a lower one."""

    new_balance: int
    lifetime_earned: int
    lifetime_spent: int
    application_id: str
    version: int


class CreditsDeducted(Event):
    """Credits were spent, on a request by the name `action`, or taken away for another reason."""

    amount: int
    new_balance: int
    action: str
    transaction_id: str
    timestamp: str


class CreditsGranted(Event):
    """Credits were given."""

    amount: int
    new_balance: int
    reason: str
    transaction_id: str
    timestamp: str


class CreditsInsufficient(Event, event="insufficient_credits"):
    """The request `action` needs more credits than are available; it stops there."""

    required: int
    available: int
    action: str


class RateLimitError(ErrorEvent, kw_only=True):
    """A per-socket or per-user throttle was exceeded by `event`."""

    event: str = ""


class ValidationError(ErrorEvent, kw_only=True):
    """The payload of `event` failed its schema, or no handler answers that event."""

    event: str = ""


class Error(ErrorEvent, kw_only=True):
    """`event` failed, and its domain has no error event of its own."""

    event: str = ""
