"""`lbproto events`: what a server can be asked and what it tells."""

from __future__ import annotations

from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from lbproto.cli.show import output, print_json
from lbproto.contract import events, rooms
from lbproto.registry import Registry

__all__ = ["show_registry"]


def show_registry(registry: Registry, *, as_json: bool) -> None:
    """Print all events and families of rooms.

    Args:
        registry: the server's.
        as_json: one object a line, of the kind `event` or `room`.
    """
    if as_json:
        for event in events(registry):
            print_json({"kind": "event", **asdict(event)})
        for room in rooms(registry):
            print_json({"kind": "room", **asdict(room)})
        return
    console = output()
    table = _table("event", "direction", "payload", "plugin")
    for event in events(registry):
        direction = Text("you → server", "cyan") if event.inbound else "server → you"
        table.add_row(event.name, direction, Text(event.payload), event.plugin)
    console.print(table)
    console.print()
    table = _table("room", "tells who joins and leaves", "joined by itself", "plugin")
    for room in rooms(registry):
        told = ("yes" if each else "no" for each in (room.announces, room.automatic))
        table.add_row(room.pattern, *told, room.plugin)
    console.print(table)


def _table(first: str, *others: str) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    table.add_column(first, style="bold", overflow="fold", no_wrap=True)
    for column in others:
        table.add_column(column, overflow="fold")
    return table
