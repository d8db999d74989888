"""A Sphinx directive: the event reference, made from the registry of a server with all plugins."""

from __future__ import annotations

from importlib.metadata import entry_points
from itertools import groupby
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from lbproto import Server, StaticTokens
from lbproto.contract import EventEntry, events, rooms


def _server() -> Server:
    plugins = [entry.load()() for entry in entry_points(group="lbproto.plugins")]
    return Server(plugins, auth=StaticTokens({}))


def _table(title: str, entries: list[EventEntry]) -> list[str]:
    rows = [f"## {title}", "", "| event | direction | payload | |", "|---|---|---|---|"]
    for entry in entries:
        direction = "you → server" if entry.inbound else "server → you"
        summary = entry.summary.replace("|", "\\|")
        rows.append(f"| `{entry.name}` | {direction} | `{entry.payload}` | {summary} |")
    return [*rows, ""]


class EventReference(SphinxDirective):
    """Writes a table of events for each plugin, and one of all rooms."""

    def run(self) -> list[nodes.Node]:
        registry = _server().registry
        lines: list[str] = []
        for plugin, entries in groupby(events(registry), key=lambda entry: entry.plugin):
            lines += _table(plugin, list(entries))
        lines += ["## Rooms", "", "| room | announces users | plugin |", "|---|---|---|"]
        for room in rooms(registry):
            announces = "yes" if room.announces else "no"
            lines.append(f"| `{room.pattern}` | {announces} | {room.plugin} |")
        return self.parse_text_to_nodes(StringList(lines, "registry"), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("event-reference", EventReference)
    return {"parallel_read_safe": True}
