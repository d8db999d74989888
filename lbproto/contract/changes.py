"""What has changed from one contract to the next, and whom it breaks."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["TO_CLIENT", "TO_SERVER", "Change", "Direction", "Severity"]

Severity = Literal["breaking", "notice", "compatible"]
Direction = Literal["client → server", "server → client"]

TO_SERVER: Direction = "client → server"
TO_CLIENT: Direction = "server → client"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One of them.

    Attributes:
        severity: `breaking` for a client that was written against the old contract; `notice` for
            what it may feel; `compatible` for what it need not know.
        kind: what has happened, in a word that stays the same.
        about: the event, room, code or limit.
        direction: which way an event goes; None for what is not an event.
        path: the place in a payload, such as `$.window.from`; "" for the whole.
        message: the same for people.
    """

    severity: Severity
    kind: str
    about: str
    direction: Direction | None = None
    path: str = ""
    message: str
