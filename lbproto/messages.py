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
    """Events are lost for good: subscribe again, first messages tell how things are.

    Behind `connected`, the session that the client wanted to resume is gone, and this is a new one,
    in no room yet. At any other time it is the same, in its rooms: what other nodes sent is lost.
    """


class AnswersLost(Event):
    """What was sent to this session alone may be missing, as where its former node has died.

    These are answers to requests, first messages of rooms, and events of jobs: ask again by the
    same `requestId`, subscribe again, and `attach`. The session goes on, and is in its rooms.
    """


class EventsDropped(Event):
    """The client was too slow: `count` events before this one were dropped, as they may be."""

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
    """It is; `timestamp` is its clock's."""

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
    """Be told of a running job of one's own from now on, on this session too.

    `after` says how many of its events are known here already; those behind them come first, as far
    as they are kept. Answered by `attached`; by its failure, where it was lost with its node.
    """

    id: _JobId
    after: Annotated[int, msgspec.Meta(ge=0)] = 0


class Attached(Event):
    """What follows are the job's events after the first `after`.

    That is more than was asked for where older ones are not kept any more.
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
    """To the others in a room: a user's first session has come."""

    user_id: str
    room: str
    joined_at: str


class UserLeftRoom(Event):
    """To the others in a room: a user's last session has gone."""

    user_id: str
    room: str
    left_at: str


class ServerDraining(Event):
    """The server stops: in `retry_after` seconds this connection is closed; connect again then."""

    retry_after: int


class CreditBalanceUpdated(Event):
    """An account has moved; `version` (extension) grows by one each time: drop a lower one."""

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
    """The payload of `event` failed its schema, or nobody answers that event."""

    event: str = ""


class Error(ErrorEvent, kw_only=True):
    """`event` failed, and its domain has no error event of its own."""

    event: str = ""
