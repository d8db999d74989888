"""What went over one client's connection, to be read by people and compared by tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from lbproto.events import Event

__all__ = ["Direction", "Entry", "Transcript"]

Direction = Literal[">", "<", "-"]
"""From the client, to the client, or what befell the connection."""

_IDS = ("sid", "pid", "offset")
_LAST = 20  # rows that a failure shows
_WIDTH = 160  # characters of a row that it shows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """One row.

    Attributes:
        time: seconds of the server's clock since the client was made.
        direction: ">" the client sent it, "<" it was sent to the client, "-" the connection itself.
        event: its wire name; of an acknowledgement "ack"; in parentheses what befell a connection.
        data: the payload, as plain values.
        typed: the payload as its class; None where the client sent it, or it cannot be read.
        offset: where a client resumes that got this last.
        id: what this request, or this event that wants to be acknowledged, is called.
        re: the id of what this answers.
        problem: how it breaks the contract; None where it does not.
    """

    time: float
    direction: Direction
    event: str
    data: Any = None
    typed: Event | None = None
    offset: str | None = None
    id: int | None = None
    re: int | None = None
    problem: str | None = None


class Transcript(Sequence[Entry]):
    """The rows in order; `str()` is a table of them."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: Any) -> Any:
        return self._entries[index]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __str__(self) -> str:
        return "\n".join(_table(self._entries))

    def add(self, entry: Entry) -> None:
        """Write down what has happened; for the client that keeps this."""
        self._entries.append(entry)

    def normalised(self, *fields: str) -> str:
        """The table with stand-ins for ids, the same whenever the same happens.

        Args:
            fields: wire names of fields, at any depth, whose values differ from run to run. Those
                of `sid`, `pid` and `offset` always do: they become `<sid 1>`, `<sid 2>`, in the
                order in which they are seen first.
        """
        stand_ins = _StandIns({*_IDS, *fields})
        return "\n".join(_table(map(stand_ins.entry, self._entries)))

    def tail(self) -> str:
        """The end of the table, long rows cut: what a failure shows."""
        rows = [row if len(row) <= _WIDTH else row[:_WIDTH] + "…" for row in _table(self._entries)]
        left_out = len(rows) - _LAST
        if left_out > 0:
            rows = [f"({left_out} rows before)", *rows[left_out:]]
        return "\n".join(rows) or "(nothing)"


def _table(entries: Any) -> list[str]:
    rows = list(entries)
    width = max((len(row.event) for row in rows), default=0)
    return [_row(row, width) for row in rows]


def _row(entry: Entry, width: int) -> str:
    data = "" if entry.data is None else msgspec.json.encode(entry.data).decode()
    marks = [
        "" if entry.id is None else f"#{entry.id}",
        "" if entry.re is None else f"re #{entry.re}",
        "" if entry.offset is None else f"@{entry.offset}",
        "" if entry.problem is None else f"!! {entry.problem}",
    ]
    shown = [f"{entry.time:9.3f} {entry.direction} {entry.event:{width}}", data, *marks]
    return "  ".join(filter(None, shown)).rstrip()


class _StandIns:
    """Replaces ids, each by the same stand-in wherever it comes."""

    def __init__(self, fields: set[str]) -> None:
        self._fields = fields
        self._known: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}

    def entry(self, entry: Entry) -> Entry:
        offset = None if entry.offset is None else self._stand_in("offset", entry.offset)
        return replace(entry, data=self._value(entry.data), offset=offset)

    def _value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: self._stand_in(key, item)
                if key in self._fields and item is not None
                else self._value(item)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._value(item) for item in value]
        return value

    def _stand_in(self, field: str, value: Any) -> str:
        known = self._known.get((field, repr(value)))
        if known is None:
            number = self._counts[field] = self._counts.get(field, 0) + 1
            known = self._known[field, repr(value)] = f"<{field} {number}>"
        return known
