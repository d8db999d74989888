"""A contract as plain data: what the documents are written from, and read back into.

Names of fields are in camelCase where they are written, and those with their default are left out.
"""

from __future__ import annotations

import re
from typing import Any, Literal, dataclass_transform

import msgspec

__all__ = [
    "Code",
    "Contract",
    "Emitted",
    "Lifecycle",
    "Limits",
    "Part",
    "Price",
    "Request",
    "Room",
    "Window",
]

Price = int | Literal["varies"]
"""Credits, or that it depends on the request."""


@dataclass_transform(frozen_default=True, field_specifiers=(msgspec.field,))
class Part(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A part of a contract."""


class Lifecycle(Part, kw_only=True):
    """The events that tell of a job, by their names on the wire, and what bounds it.

    Attributes:
        failure: ends it, or refuses it; see `lbproto.Stages` for this and the others.
        start, progress, output, before_terminal, success: None where there is no such event.
        closes: a last `output` says that there is no more.
        id: the field of these events that names the job.
        group: the field of the request that names its group; None for none.
        waiting: how many of a group may wait; None where all run at once.
        timeout: seconds that it may take; None for any time.
    """

    failure: str
    start: str | None = None
    progress: str | None = None
    output: str | None = None
    before_terminal: str | None = None
    success: str | None = None
    closes: bool = False
    id: str
    group: str | None = None
    waiting: int | None = None
    timeout: float | None = None

    @property
    def stages(self) -> dict[str, str]:
        """The events that there are, by stage, in the order in which they are told."""
        stages = {
            "start": self.start,
            "progress": self.progress,
            "output": self.output,
            "beforeTerminal": self.before_terminal,
            "success": self.success,
            "failure": self.failure,
        }
        return {stage: event for stage, event in stages.items() if event is not None}


class Request(Part, kw_only=True):
    """What a client may ask for.

    Attributes:
        event: its name on the wire.
        schema: the name of its payload's schema.
        plugin: who declared it.
        answers: the events that answer it; none for one that is only acknowledged. The first that
            is sent is its acknowledgement.
        refused: the event that carries a refusal.
        price: None for nothing.
        weight: how many requests it counts as.
        counted: against which limits.
        repeatable: a `requestId` is not looked at: serving it again does no harm.
        timeout: seconds that it may take; None for any time, and for a job.
        job: how it is served where it takes long.
    """

    event: str
    schema: str
    plugin: str
    answers: tuple[str, ...] = ()
    refused: str
    price: Price | None = None
    weight: int = 1
    counted: Literal["user", "session"] = "user"
    repeatable: bool = False
    timeout: float | None = None
    job: Lifecycle | None = None


class Emitted(Part, kw_only=True):
    """An event that a server sends.

    Attributes:
        event: its name on the wire.
        schema: the name of its payload's schema.
        plugin: who declared it.
        overflow: what becomes of it where a slow client has no room for it.
        error: it carries the error envelope.
    """

    event: str
    schema: str
    plugin: str
    overflow: Literal["disconnect", "drop_oldest", "conflate"]
    error: bool = False


_PLACEHOLDER = re.compile(r"\{([a-z_][a-z0-9_]*)(\*?)\}")


class Room(Part, kw_only=True):
    """A family of rooms.

    Attributes:
        pattern: its name, with placeholders; one with a star matches ":" too.
        plugin: who declared it.
        first: the events of which one may be its first message.
        refused: the event that carries a refusal.
        announces: whether members are told of users who join and leave.
        automatic: whether each new session is in its room of this family by itself.
        example: a room of it to try.
    """

    pattern: str
    plugin: str
    first: tuple[str, ...] = ()
    refused: str
    announces: bool
    automatic: bool = False
    example: str = ""

    @property
    def placeholders(self) -> dict[str, bool]:
        """Each by name, and whether it matches ":" too."""
        return {name: star == "*" for name, star in _PLACEHOLDER.findall(self.pattern)}

    @property
    def literals(self) -> list[str]:
        """What is before, between and behind the placeholders."""
        return _PLACEHOLDER.split(self.pattern)[::3]


class Code(Part, kw_only=True):
    """A code of the error envelope: whether the same request may succeed later, and its meaning."""

    retryable: bool
    meaning: str


class Window(Part, kw_only=True):
    """At most `number` in any `seconds`, `burst` of them at once."""

    number: int
    seconds: float
    burst: int


class Limits(Part, kw_only=True):
    """How much may be asked for; None for no such bound.

    Attributes:
        tiers: the windows of a user, by the tier's name; none at all for a server without limits.
        default_tier: whose limits a user has who has no tier.
        per_session: the window of a session.
        max_rooms: rooms of a session.
        max_jobs: jobs of a user.
        max_payload: bytes of a message.
        resumable: seconds that a session waits for a client that has lost its connection.
    """

    tiers: dict[str, tuple[Window, ...]] = {}
    default_tier: str | None = None
    per_session: Window | None = None
    max_rooms: int
    max_jobs: int
    max_payload: int
    resumable: float | None = None


class Contract(Part, kw_only=True):
    """All of it.

    Attributes:
        title, version: the host's words for it.
        requests, events, rooms: in the order of declaration.
        codes: of the error envelope.
        limits: what bounds every client.
        schemas: JSON Schemas by name; they refer to each other as `#/components/schemas/<name>`.
    """

    title: str
    version: str
    requests: tuple[Request, ...]
    events: tuple[Emitted, ...]
    rooms: tuple[Room, ...]
    codes: dict[str, Code]
    limits: Limits
    schemas: dict[str, dict[str, Any]]
