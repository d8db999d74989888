"""Every event and every family of rooms of a registry, described in one line each."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from lbproto.events import Event
from lbproto.registry import Registry

__all__ = ["EventEntry", "RoomEntry", "events", "rooms"]


@dataclass(frozen=True, slots=True)
class EventEntry:
    """An event, as the contract's tables have it.

    Attributes:
        name: on the wire.
        inbound: whether a client sends it; otherwise the server does.
        payload: `{symbol, window?}`: wire names, those with a question mark may be left out.
        plugin: who declared it.
        summary: the first line of its class's docstring; "" where it has none.
    """

    name: str
    inbound: bool
    payload: str
    plugin: str
    summary: str


@dataclass(frozen=True, slots=True)
class RoomEntry:
    """A family of rooms.

    Attributes:
        pattern: the name, with its placeholders.
        announces: whether members are told of users who join and leave.
        automatic: whether each new session is in its room of this family by itself.
        plugin: who declared it.
        example: a room of this family to try; "" for none.
    """

    pattern: str
    announces: bool
    automatic: bool
    plugin: str
    example: str


def events(registry: Registry) -> list[EventEntry]:
    """All events, by plugin in the order of declaration; what clients send comes first."""
    entries = [
        *(_entry(route.request, True, route.plugin) for route in registry.routes.values()),
        *(_entry(sent.event, False, sent.plugin) for sent in registry.emissions.values()),
    ]
    plugins = list(dict.fromkeys(entry.plugin for entry in entries))
    return sorted(entries, key=lambda entry: plugins.index(entry.plugin))


def rooms(registry: Registry) -> list[RoomEntry]:
    """All families of rooms, in the order of declaration."""
    return [
        RoomEntry(room.pattern, room.announce, room.automatic, room.plugin, room.example)
        for room in registry.rooms
    ]


def _entry(event: type[Event], inbound: bool, plugin: str) -> EventEntry:
    summary = (event.__doc__ or "").strip().partition("\n")[0]
    return EventEntry(event.event_name, inbound, _payload(event), plugin, summary)


def _payload(event: type[Event]) -> str:
    fields = msgspec.structs.fields(event)
    if not fields:
        return "(nothing)"
    names = (field.encode_name + ("" if field.required else "?") for field in fields)
    return "{" + ", ".join(names) + "}"
