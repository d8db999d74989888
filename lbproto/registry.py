"""The registry of one server: its requests, its events and its rooms.

Built once from the server's plugins, never by subclassing, so that two servers in one process share
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from lbproto.encoded import decode_hook
from lbproto.errors import NotFound, UsageError
from lbproto.events import ErrorEvent, Event
from lbproto.jobs.stages import JobPolicy
from lbproto.overflow import OverflowPolicy, disconnect
from lbproto.validation.mistakes import check_event, name_of
from lbproto.validation.reserved import check_name, check_request_id

__all__ = ["RESERVED", "Counted", "Emission", "Price", "Registry", "RoomPattern", "Route"]

RESERVED = "lbproto:"
"""What no room's name begins with: nodes have channels of such names among themselves."""

Counted = Literal["user", "session"]
"""Which limits a request counts against."""

_PLACEHOLDER = re.compile(r"\{([a-z_][a-z0-9_]*)(\*?)\}")

Price = int | Callable[[Any], int | Awaitable[int]]
"""What a request costs, in credits: a number, or a function of the request."""


@dataclass(frozen=True, slots=True)
class Route:
    """A request and what answers it.

    Attributes:
        request: its payload, validated.
        handler: `async (ctx, request) -> Event | None`; what it returns is the answer.
        refused: the event that carries a refusal; None for the general ones.
        plugin: the name of the plugin that declared it.
        weight: as how many requests it counts against the limits.
        counted: against which: the user's and the session's, or the session's only.
        repeatable: serving it again does no harm, so that a repeat does not join the first.
        price: what is set aside before the handler runs; None for a request that costs nothing.
        job: how it is served as a job; its handler is `async (job) -> Event | None` then.
        answers: the events that its handler says it returns.
        timeout: seconds that its handler may take; None for what the server allows.
    """

    request: type[Event]
    handler: Callable[..., Awaitable[Event | None]]
    refused: type[ErrorEvent] | None
    plugin: str
    weight: int = field(default=1, kw_only=True)
    counted: Counted = field(default="user", kw_only=True)
    repeatable: bool = False
    price: Price | None = None
    job: JobPolicy | None = None
    answers: tuple[type[Event], ...] = field(default=(), kw_only=True)
    timeout: float | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Emission:
    """An event that the server sends, and what a full outbox does with it."""

    event: type[Event]
    policy: OverflowPolicy
    plugin: str


@dataclass(frozen=True, slots=True)
class RoomPattern:
    """A family of rooms.

    Attributes:
        pattern: the name, with `{placeholders}` that match one or more characters other than ":";
            `{placeholder*}` matches ":" too.
        join: `async (ctx, **placeholders) -> Event | None`, called before a session gets in:
            returns the room's first message, or raises a `RequestError` to refuse.
        announce: whether members are told of users who join and leave.
        refused: the event that carries a refusal; None for the general ones.
        plugin: the name of the plugin that declared it.
        example: a room of this family to try; "" for none.
        occupancy: `(occupied, **placeholders)`, called when the first session is in a room and when
            the last one has left; None for nobody who wants to know.
        first: the events that `join` says it returns.
        automatic: whether each new session joins its room of this family by itself.

    Raises:
        UsageError: no room has a name like the pattern; that has other braces than those of
            placeholders, or one of them twice; or the family is automatic, and has another one than
            `{user_id*}`.
    """

    pattern: str
    join: Callable[..., Awaitable[Event | None]]
    announce: bool
    refused: type[ErrorEvent] | None
    plugin: str
    example: str = ""
    occupancy: Callable[..., None] | None = None
    first: tuple[type[Event], ...] = field(default=(), kw_only=True)
    automatic: bool = field(default=False, kw_only=True)
    _regex: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        literals = _PLACEHOLDER.split(self.pattern)[::3]
        stray = re.search(r"\{[^{}]*\}|[{}]", "".join(literals))
        if stray is not None:
            raise UsageError(
                f"the room pattern {self.pattern!r} has {stray[0]!r}, which is not a placeholder: "
                "write {name} or {name*}, in lower case"
            )
        if not self.pattern or self.pattern.startswith(RESERVED):
            raise UsageError(
                f"no room can be called like the pattern {self.pattern!r}: "
                f"names have 1 or more characters, and do not begin with {RESERVED!r}"
            )
        if len(set(self.placeholders)) < len(self.placeholders):
            raise UsageError(f"the room pattern {self.pattern!r} names a placeholder twice")
        if self.automatic and not {"user_id"}.issuperset(self.placeholders):
            raise UsageError(
                f"rooms {self.pattern!r} cannot be automatic: of whom joins by itself only the "
                "{user_id*} is known"
            )
        if self.automatic and "{user_id}" in self.pattern:
            raise UsageError(
                f"rooms {self.pattern!r} cannot be automatic: a user's id may have a ':' in it, so "
                "that not everybody would get in: write {user_id*}"
            )
        source = re.escape(literals[0])
        for (name, star), literal in zip(
            _PLACEHOLDER.findall(self.pattern), literals[1:], strict=True
        ):
            source += f"(?P<{name}>{'.' if star else '[^:]'}+){re.escape(literal)}"
        object.__setattr__(self, "_regex", re.compile(source, re.DOTALL))

    @property
    def placeholders(self) -> list[str]:
        """The names between braces, in order."""
        return [name for name, _ in _PLACEHOLDER.findall(self.pattern)]

    def room_of(self, user_id: str) -> str:
        """The room that this user joins by itself."""
        return self._named(user_id, user_id)

    def match(self, room: str) -> dict[str, str] | None:
        """The placeholders' values, or None where `room` is not of this family."""
        match = self._regex.fullmatch(room)
        return None if match is None else match.groupdict()

    def includes(self, other: RoomPattern) -> bool:
        """Whether all rooms of the other family are of this one, too."""
        return all(self.match(other._named("\0", parts)) is not None for parts in ("\0", "\0:\0"))

    def _named(self, part: str, parts: str) -> str:
        return _PLACEHOLDER.sub(lambda found: parts if found[2] else part, self.pattern)


class Registry:
    """Everything the plugins of one server have declared.

    Args:
        strict: raise when an event is emitted, or to a room, that no plugin declared.
    """

    def __init__(self, *, strict: bool = True) -> None:
        self.routes: dict[str, Route] = {}
        self.emissions: dict[str, Emission] = {}
        self.rooms: list[RoomPattern] = []
        self._strict = strict

    def add_route(self, route: Route) -> None:
        """Declare a request.

        Raises:
            UsageError: another one has this name; or that, or a field's, has a meaning already.
        """
        check_name(route.request)
        if not route.repeatable:
            check_request_id(route.request)
        name = route.request.event_name
        if name in self.routes:
            both = " and ".join(
                f"{name_of(each.handler)} of plugin {each.plugin!r}"
                for each in (self.routes[name], route)
            )
            raise UsageError(f"{both} both answer {name!r}")
        self.routes[name] = route

    def add_emission(self, emission: Emission) -> None:
        """Declare an event that is sent; the same class twice is declared once.

        Raises:
            UsageError: another class, or another policy, has this name; or that has a meaning
                already.
        """
        check_name(emission.event)
        name = emission.event.event_name
        known = self.emissions.get(name)
        if known is None or (known.event is emission.event and known.policy is disconnect):
            self.emissions[name] = emission
        elif known.event is not emission.event:
            raise UsageError(
                f"{known.event.__qualname__} of plugin {known.plugin!r} and "
                f"{emission.event.__qualname__} of plugin {emission.plugin!r} "
                f"are both called {name!r}"
            )
        elif emission.policy not in (disconnect, known.policy):
            raise UsageError(f"{name!r} is declared with two overflow policies")

    def add_room(self, room: RoomPattern) -> None:
        """Declare a family of rooms.

        Raises:
            UsageError: all of its rooms are of another one, which was declared before.
        """
        for known in self.rooms:
            if known.includes(room):
                raise UsageError(
                    f"rooms {room.pattern!r} of plugin {room.plugin!r} are all taken by "
                    f"{known.pattern!r} of plugin {known.plugin!r}: "
                    "give them other names, or declare them first"
                )
        self.rooms.append(room)

    def emission(self, event: Event) -> Emission:
        """How `event` is sent.

        Raises:
            UsageError: it is no event; or nobody declared it, and the registry is strict.
        """
        check_event(event, "emit takes an event, as in emit(Order(...))")
        known = self.emissions.get(event.event_name)
        if known is not None and known.event is type(event):
            return known
        if self._strict:
            name = type(event).__qualname__
            raise UsageError(
                f"{name} is not declared: add plugin.emits({name}) to the plugin, or let the "
                f"annotation of the handler say that it returns {name}"
            )
        return Emission(type(event), disconnect, "")

    def restored(self, name: str, payload: msgspec.Raw) -> Event | None:
        """An event from a record, in JSON; None where its plugin is not what it was, or is gone."""
        emission = self.emissions.get(name)
        if emission is None:
            return None
        try:
            return msgspec.json.decode(payload, type=emission.event, dec_hook=decode_hook)
        except msgspec.DecodeError:
            return None

    def received(self, name: str, payload: msgspec.Raw) -> Event | None:
        """Likewise from another node, in MessagePack."""
        emission = self.emissions.get(name)
        if emission is None:
            return None
        try:
            return msgspec.msgpack.decode(payload, type=emission.event, dec_hook=decode_hook)
        except msgspec.DecodeError:
            return None

    def room(self, name: str) -> tuple[RoomPattern, dict[str, str]]:
        """The family a room belongs to, and its placeholders' values.

        Raises:
            NotFound: no plugin declared such a room.
        """
        if not name.startswith(RESERVED):
            for pattern in self.rooms:
                values = pattern.match(name)
                if values is not None:
                    return pattern, values
        families = ", ".join(self._families())
        raise NotFound(f"There is no room of that name. Rooms here: {families}")

    def has_room(self, name: str) -> bool:
        """Whether a room belongs to a family."""
        try:
            self.room(name)
        except NotFound:
            return False
        return True

    def check_room(self, name: str) -> None:
        """See to it that somebody may be in a room.

        Raises:
            NotFound: no plugin declared such a room, and the registry is strict; or no plugin can.
        """
        if self._strict or name.startswith(RESERVED):
            self.room(name)

    def _families(self) -> Iterator[str]:
        return (room.pattern for room in self.rooms)
