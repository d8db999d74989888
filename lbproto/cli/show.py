"""Events on standard output: tables and colour for people, JSON lines for programs."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from rich.box import SIMPLE_HEAD
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lbproto.cli.client import Heard
from lbproto.cli.values import align, text_of

__all__ = ["output", "print_json", "showing"]

# A table that goes to a file has no screen to fit.
_PLAIN_WIDTH = 250
_SHOWN_ROWS = 40
_NUMBERS = ("open", "high", "low", "close", "volume")


class _Output(Console):
    def on_broken_pipe(self) -> None:
        # To exit, as by default, would be told as a failure where that is in a group of tasks.
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def output() -> Console:
    """Standard output; without escape codes where it is not a terminal."""
    width = None if sys.stdout.isatty() else _PLAIN_WIDTH
    return _Output(width=width, markup=False, highlight=False, emoji=False)


def print_json(value: Any) -> None:
    """Print one value in one line, at once; in UTF-8, whatever the locale."""
    sys.stdout.flush()
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.buffer.flush()


@contextmanager
def showing(*, as_json: bool) -> Iterator[Callable[[Heard], None]]:
    """A function that shows events while the body runs."""
    console = output()
    if as_json:
        yield print_json
    elif not sys.stdout.isatty():
        yield lambda heard: console.print(*_lines(heard), sep="\n", soft_wrap=True)
    else:
        live = Live(console=console, auto_refresh=False)
        try:
            yield _Screen(live).show
        finally:
            live.stop()


class _Screen:
    """A terminal. What is under way stays at the bottom and changes in place.

    That is candles that are still open, and how far a job is. Of a result's rows only the first of
    each part are shown.

    Args:
        live: what is at the bottom; started with the first of that.
    """

    def __init__(self, live: Live) -> None:
        self._live = live
        self._open: dict[tuple[str, str], dict[str, Any]] = {}

    def show(self, heard: Heard) -> None:
        """Show one event."""
        data = heard.data
        if _is_progress(heard):
            self._live.start()
            self._live.update(_bar(data["pct"]), refresh=True)
            return
        if not _is_candle(data):
            if self._live.is_started and not self._open:
                self._live.update(Text(), refresh=True)
            self._print(*_lines(heard, most=_SHOWN_ROWS))
            return
        key = (str(data["symbol"]), str(data.get("resolution", "")))
        before = self._open.get(key)
        same = before is not None and before["timestamp"] == data["timestamp"]
        if data.get("closed"):  # an earlier one too, when a late trade has amended it
            self._print(_candle(data))
            if same:
                del self._open[key]
        else:
            if before is not None and not same:
                self._print(_candle(before))
            self._open[key] = data
        self._live.start()
        self._live.update(Group(*map(_candle, self._open.values())), refresh=True)

    def _print(self, *lines: RenderableType) -> None:
        for line in lines:
            self._live.console.print(line)


def _is_candle(data: Any) -> bool:
    return (
        isinstance(data, dict)
        and {"symbol", "timestamp"} <= data.keys()
        and all(type(data.get(field)) in (int, float) for field in _NUMBERS)
    )


def _candle(data: dict[str, Any]) -> Text:
    """A candle in less than 80 columns."""
    name = f"{text_of(data['symbol'])} {text_of(data.get('resolution', ''))}".rstrip()
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{name}  ", "bold")
    line.append(text_of(data["timestamp"])[11:19], "dim" if data.get("closed") else "")
    rising = data["close"] >= data["open"]
    for field in _NUMBERS:
        style = ("green" if rising else "red") if field == "close" else ""
        line.append(f"  {field[0].upper()} ", "dim").append(f"{text_of(data[field]):<7}", style)
    return line


def _is_progress(heard: Heard) -> bool:
    data = heard.data
    return (
        heard.event.endswith("_progress")
        and isinstance(data, dict)
        and type(data.get("pct")) in (int, float)
    )


def _bar(pct: float) -> Columns:
    return Columns([ProgressBar(total=100, completed=pct, width=40), Text(f"{pct:.0f} %", "dim")])


def _lines(heard: Heard, most: int | None = None) -> list[RenderableType]:
    """An event: its name and fields in one line, and what is a list of objects as a table.

    Args:
        most: rows of a table; None for all.
    """
    data = heard.data if isinstance(heard.data, dict) else {"data": heard.data}
    line = Text(text_of(heard.event), "bold red" if heard.refusal else "bold cyan")
    tables: list[RenderableType] = []
    if _is_result(data):
        names = [column["name"] for column in data["schema"]]
        rows = [
            row if isinstance(row, dict) else dict(zip(names, row, strict=False))
            for row in data["rows"]
        ]
        data = {**data, "rows": rows}
        del data["schema"]
    for name, value in data.items():
        if _is_rows(value):
            tables.append(_table(value[:most]))
            if most is not None and len(value) > most:
                rest = f"and {len(value) - most:,} more rows: --json prints all of them"
                tables.append(Text(rest, "dim"))
        else:
            line.append(f"  {text_of(name)}=", "dim").append(text_of(value), "not bold default")
    return [line, *tables]


def _is_result(data: dict[Any, Any]) -> bool:
    """Whether there are rows, and a schema that says what is in their columns."""
    schema, rows = data.get("schema"), data.get("rows")
    return (
        isinstance(rows, list)
        and isinstance(schema, list)
        and all(isinstance(column, dict) and "name" in column for column in schema)
        and all(isinstance(row, dict | list) for row in rows)
    )


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and value != [] and all(isinstance(row, dict) for row in value)


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = []
    for name in names:
        values = [row.get(name) for row in rows]
        numeric = all(type(value) in (int, float, type(None)) for value in values)
        table.add_column(text_of(name), justify="right" if numeric else "left")
        columns.append([Text(text) for text in align(values)])
    for row in zip(*columns, strict=True):
        table.add_row(*row)
    return table
