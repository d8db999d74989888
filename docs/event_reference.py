"""Sphinx directives: the event reference, made from the registry of a server with all plugins.

`event-overview` lists all events and rooms; `event-reference` tells all about those of a plugin,
with the exchanges that the tests have recorded.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from exchange_lines import exchange_of
from payload_tables import PayloadTables
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from lbproto import Server, StaticTokens
from lbproto.contract import Contract, describe
from lbproto.contract.model import Emitted, Request, Room
from lbproto.contract.prose import emitted_prose, request_prose
from lbproto.events import camel_case
from tests.contract.published import FROM_SERVER, TO_SERVER

# Every server may send it; it is read about where all that is about credits is.
_TOLD_WITH = {"insufficient_credits": "credits"}

_DIRECTIONS = {Request: "you\u00a0→\u00a0server", Emitted: "server\u00a0→\u00a0you"}
_STAGES = {
    "start": "Begins the job",
    "progress": "Tells of the progress of",
    "output": "Carries the output of",
    "beforeTerminal": "Comes before the end of",
    "success": "Ends the job",
    "failure": "Refuses or fails the job",
}
_ENVELOPE = frozenset({"code", "message", "retryAfter"})
_GENERAL = "error"  # it refuses whatever has no error event of its own

_CODE = re.compile(r"`([a-z_]+)`")


@cache
def _contract() -> Contract:
    entries = sorted(entry_points(group="lbproto.plugins"), key=lambda entry: entry.name)
    plugins = [entry.load()() for entry in entries]
    return describe(Server(plugins, auth=StaticTokens({})))


def _plugins() -> dict[str, list[Request | Emitted]]:
    """The events of each plugin, what clients send first."""
    found: dict[str, list[Request | Emitted]] = defaultdict(list)
    events: list[Request | Emitted] = [*_contract().requests, *_contract().events]
    for each in events:
        found[_TOLD_WITH.get(each.event, each.plugin)].append(each)
    return found


def _described(event: Request | Emitted) -> str:
    """What its class says of an event; its fields have the names that they have on the wire."""
    schema = _contract().schemas[event.schema]

    def named(match: re.Match[str]) -> str:
        name = camel_case(match[1])
        return f"`{name}`" if name in schema.get("properties", {}) else match[0]

    return _linked(_CODE.sub(named, schema.get("description", "")))


def _linked(text: str) -> str:
    """The same, where names of events lead to what is told of them."""
    known = {each.event for some in _plugins().values() for each in some}

    def link(match: re.Match[str]) -> str:
        return f"[{match[0]}](#event-{match[1]})" if match[1] in known else match[0]

    return _CODE.sub(link, text)


def _published(event: Request | Emitted) -> frozenset[str] | None:
    """The fields that an event was published with; None for an extension."""
    fields = (TO_SERVER if isinstance(event, Request) else FROM_SERVER).get(event.event)
    if fields is None:
        return None
    envelope = _ENVELOPE if isinstance(event, Emitted) and event.error else frozenset()
    return envelope.union(fields.replace("?", "").split())


def _rooms(some: Iterable[Room]) -> list[str]:
    rows = ["| room | first message | announces users |", "|---|---|---|"]
    for room in some:
        first = _linked(" or ".join(f"`{name}`" for name in room.first))
        rows.append(f"| `{room.pattern}` | {first} | {'yes' if room.announces else 'no'} |")
    return [*rows, ""]


def _roles(event: str) -> Iterator[str]:
    """What an event that the server sends is for, by the requests that it comes from."""
    told: dict[str, list[str]] = defaultdict(list)
    for request in _contract().requests:
        stages = {} if request.job is None else request.job.stages
        for stage, name in stages.items():
            if name == event:
                told[_STAGES[stage]].append(request.event)
        if event in request.answers:
            told["Answers"].append(request.event)
        if event == request.refused != _GENERAL and not stages:
            told["Refuses"].append(request.event)
    for verb, names in told.items():
        yield f"{verb} {' and '.join(f'`{name}`' for name in names)}."
    rooms = [f"`{room.pattern}`" for room in _contract().rooms if event in room.first]
    if rooms:
        yield f"The first message of {' and '.join(rooms)}."


def _section(event: Request | Emitted, tables: PayloadTables) -> list[str]:
    """All about an event."""
    prose = request_prose(event) if isinstance(event, Request) else emitted_prose(event)
    roles = [] if isinstance(event, Request) else _roles(event.event)
    published = _published(event)
    return [
        f"(event-{event.event})=",
        f"## `{event.event}`",
        "",
        f"*{_DIRECTIONS[type(event)]}{', extension' if published is None else ''}*",
        "",
        _described(event),
        "",
        _linked(" ".join([*roles, *prose])),
        "",
        *tables.table(event.schema, published),
        *exchange_of(event.event),
    ]


class _Written(SphinxDirective):
    """Writes Markdown."""

    def lines(self) -> list[str]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes(
            StringList(self.lines(), "registry"), allow_section_headings=True
        )


class EventOverview(_Written):
    """A table of events for each plugin, and one of all rooms."""

    def lines(self) -> list[str]:
        lines = []
        for plugin, some in _plugins().items():
            lines += [f"## {plugin}", "", "| event | direction | |", "|---|---|---|"]
            for each in some:
                summary = _described(each).partition("\n")[0].replace("|", "\\|")
                if _published(each) is None:
                    summary += " *Extension.*"
                direction = _DIRECTIONS[type(each)]
                lines.append(f"| {_linked(f'`{each.event}`')} | {direction} | {summary} |")
            lines.append("")
        return [*lines, "## Rooms", "", *_rooms(_contract().rooms)]


class EventReference(_Written):
    """A section for each event of a plugin, its rooms, and what its payloads are made of."""

    required_arguments = 1

    def lines(self) -> list[str]:
        (plugin,) = self.arguments
        if plugin not in _plugins():
            return ["This plugin is not installed where these pages were made."]
        tables = PayloadTables(_contract().schemas, plugin)
        lines = []
        for each in _plugins()[plugin]:
            lines += _section(each, tables)
        rooms = [room for room in _contract().rooms if room.plugin == plugin]
        if rooms:
            lines += ["## Rooms", "", *_rooms(rooms)]
        if tables.used:
            lines += ["## Parts of payloads", ""]
        for name in tables.used:  # it grows: they refer to each other
            lines += [f"({tables.target(name)})=", f"### {name}", ""]
            lines += [_contract().schemas[name].get("description", ""), "", *tables.table(name)]
        return lines


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("event-overview", EventOverview)
    app.add_directive("event-reference", EventReference)
    return {"parallel_read_safe": True}
