"""The times in a question, as conditions."""

from __future__ import annotations

from datetime import datetime, timedelta

from lbproto_chat.semantic.layer import Table, TimeColumn
from lbproto_chat.semantic.lexicon import Item
from lbproto_chat.semantic.moments import at_edge, moments_of, since, within
from lbproto_chat.semantic.sql import Span
from lbproto_chat.semantic.tokens import Clock, Moments, Number
from lbproto_chat.semantic.unread import Unread
from lbproto_chat.semantic.walk import Walk

__all__ = ["Times"]

_LONG = ("day", "week", "month", "year")
_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


class Times:
    """The rules for times: each looks at the next items, and says whether it applied.

    Args:
        table: what the question is about.
        walk: through its items.

    Attributes:
        turned: the operator of a "before that", whose time an earlier question has said.
        beyond: the times that it names which the table has no rows of.
    """

    def __init__(self, table: Table, walk: Walk) -> None:
        self._table = table
        self._walk = walk
        self._spans: list[tuple[datetime, datetime]] = []
        self.turned = ""
        self.beyond: list[str] = []

    def data_span(self) -> bool:
        """Between the first and the last trade, which is all of them."""
        said = self._walk.done[-1].text.lower() if self._walk.done else ""
        start = 0 if said.endswith("between") else 1  # "the difference between" is one phrase
        if start and not self._walk.comes("between from"):
            return False
        after = [each.kind for each in self._walk.left[start + 1 : start + 2]]
        used = start + (2 if after == ["entity"] else 1)
        if len(self._walk.left) < used + 2 or self._walk.left[used].kind not in ("and", "to"):
            return False
        if (self._walk.left[start].value, self._walk.left[used + 1].value) != ("first", "last"):
            return False
        noun = len(self._walk.left) > used + 2 and self._walk.left[used + 2].kind == "entity"
        self._walk.left[: used + 2 + noun] = [Item("ends", None, self._walk.left[0].text)]
        self._walk.done.append(self._walk.left.pop(0))
        return True

    def time(self) -> bool:
        """A time, or a span of it."""
        time = self._table.time
        if time is None:
            return False
        if self._walk.comes("after before", "that"):
            self.turned = ">=" if self._walk.left[0].kind == "after" else "<"
            del self._walk.left[:2]
            return True
        first = self._moments(time, 1, self._walk.comes("after before"))
        last = self._moments(time, 3)
        if (
            first
            and last
            and self._walk.comes("between from", "moments clock number", "and to before after")
        ):
            long = last.end - last.start >= timedelta(days=1)
            return self._within(time, 4, first.start, last.end if long else last.start)
        if first and self._walk.comes("after from"):
            long = first.end - first.start >= timedelta(days=1)
            late = long and self._walk.left[0].text.lower() == "after"
            start = first.end if late else first.start
            self._note(start >= time.until)
            return self._walk.put(2, since(time, ">=", start))
        if first and self._walk.comes("before to"):
            self._note(first.start <= time.start)
            return self._walk.put(2, since(time, "<", first.start))
        if self._walk.comes("grain span", "after before") and (moment := self._moments(time, 2)):
            length = _length(self._walk.left[0].value)
            if self._walk.left[1].kind == "before":
                return self._within(time, 3, moment.start - length, moment.start)
            return self._within(time, 3, moment.start, moment.start + length)
        used = 0  # "in the minute of 09:21"
        while used < min(3, len(self._walk.left)) and self._walk.left[used].kind in (
            "in",
            "grain",
            "of",
        ):
            used += 1
        there = self._moments(time, used, "in" in [each.kind for each in self._walk.left[:used]])
        if there:
            return self._within(time, used + 1, there.start, there.end)
        return self._end_of_data(time, used)

    def _within(self, time: TimeColumn, used: int, start: datetime, end: datetime) -> bool:
        self._note(start >= time.until or end <= time.start)
        if any(start >= until or end <= since for since, until in self._spans):
            raise Unread(self._walk.left[used - 1].text)  # at 09:20 and at 09:21 there is nothing
        self._spans.append((start, end))
        return self._walk.put(used, within(time, start, end))

    def _note(self, beyond: bool) -> None:
        if beyond:
            texts = [
                each.text
                for each in self._walk.left
                if isinstance(each.value, Moments | Clock | Number)
            ]
            self.beyond += texts[:1]

    def _end_of_data(self, time: TimeColumn, used: int) -> bool:
        """The first minute, or the last 30 seconds."""
        if len(self._walk.left) < used + 2:
            return False
        which, span = self._walk.left[used : used + 2]
        if which.kind != "op" or which.value not in ("first", "last"):
            return False
        if span.kind not in ("span", "grain"):
            return False
        if span.value in _LONG and which.value == "last":  # of today's, not of the data's
            self.beyond.append(f"{which.text} {span.text}")
        return self._walk.put(used + 2, at_edge(time, str(which.value), span, self._table.name))

    def _moments(self, time: TimeColumn, place: int, said_in: bool = False) -> Moments | None:
        if place >= len(self._walk.left):
            return None
        return moments_of(self._walk.left[place].value, time, said_in=said_in)


def _length(span: object) -> timedelta:
    """How long a minute is, or 30 seconds.

    Raises:
        Unread: months and years differ.
    """
    number, unit = (span.number, span.unit) if isinstance(span, Span) else (1, str(span))
    if unit not in _SECONDS:
        raise Unread(unit)
    return timedelta(seconds=number * _SECONDS[unit])
