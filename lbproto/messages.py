"""The events of the System domain, and the three that carry errors. Published, except `error`."""

from __future__ import annotations

from typing import Annotated

import msgspec

from lbproto.events import ErrorEvent, Event

__all__ = [
    "Connected",
    "Error",
    "Ping",
    "Pong",
    "RateLimitError",
    "RoomName",
    "Subscribe",
    "Subscribed",
    "Unsubscribe",
    "Unsubscribed",
    "UserJoinedRoom",
    "UserLeftRoom",
    "ValidationError",
]

RoomName = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class Connected(Event):
    """The session is authenticated and in its personal room."""

    user_id: str
    sid: str
    timestamp: str


class Ping(Event):
    """Is the server there?"""


class Pong(Event):
    """It is; `timestamp` is its clock's."""

    timestamp: str


class Subscribe(Event):
    """Let this session into a room."""

    room: RoomName


class Unsubscribe(Event):
    """Take this session out of a room."""

    room: RoomName


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


class RateLimitError(ErrorEvent, kw_only=True):
    """A per-socket or per-user throttle was exceeded by `event`."""

    event: str = ""


class ValidationError(ErrorEvent, kw_only=True):
    """The payload of `event` failed its schema, or nobody answers that event."""

    event: str = ""


class Error(ErrorEvent, kw_only=True):
    """`event` failed, and its domain has no error event of its own."""

    event: str = ""
