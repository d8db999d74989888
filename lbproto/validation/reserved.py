"""Names that have a meaning already: in the protocol, and to clients of Socket.IO."""

from __future__ import annotations

import msgspec
from msgspec.inspect import NoneType, StrType, UnionType, type_info

from lbproto.errors import UsageError
from lbproto.events import Event

__all__ = ["REQUEST_ID", "check_name", "check_request_id"]

REQUEST_ID = "requestId"
"""The field by which a repeat of a request is known, on the wire."""

_CLIENTS_OWN = (
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
    "__disconnect_final",  # of python-socketio
)
_MEANT = {
    **dict.fromkeys(_CLIENTS_OWN, "what a client of Socket.IO tells its program by itself"),
    "ack": "an acknowledgement on plain WebSocket",
}


def check_name(event: type[Event]) -> None:
    """See to it that an event can be told from what is no event.

    Raises:
        UsageError: its name has a meaning already.
    """
    meant = _MEANT.get(event.event_name)
    if meant is not None:
        raise UsageError(
            f"{event.__qualname__} cannot be called {event.event_name!r}, which is {meant}: "
            f"give it another name, as by `class {event.__name__}(Event, event=...)`"
        )


def check_request_id(request: type[Event]) -> None:
    """See to it that nothing else is taken for the id of a repeat: its handler would not run.

    Raises:
        UsageError: a field of its own has that name on the wire, and another type than the id.
    """
    if REQUEST_ID not in request.__struct_encode_fields__:
        return
    field = next(
        field for field in msgspec.structs.fields(request) if field.encode_name == REQUEST_ID
    )
    found = type_info(field.type)
    parts = found.types if isinstance(found, UnionType) else (found,)
    if {type(part) for part in parts} != {StrType, NoneType}:
        raise UsageError(
            f"{request.__qualname__}.{field.name} is `{REQUEST_ID}` on the wire, by which a repeat "
            "of a request is known: give it another name, or the type `str | None` where it is "
            "meant as that; or declare plugin.on(..., repeatable=True), and repeats are served"
        )
