"""How a question is read: as one query, as several that are as good, or as none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from lbproto_chat.semantic.build import Shape, shape_of
from lbproto_chat.semantic.frames import Frame, merged
from lbproto_chat.semantic.layer import Layer, Measure, Table
from lbproto_chat.semantic.lexicon import Item, Lexicon
from lbproto_chat.semantic.parse import frame_of
from lbproto_chat.semantic.sql import text_of
from lbproto_chat.semantic.tokens import MAX_CHARACTERS, Token, tokens
from lbproto_chat.semantic.unread import Beyond, Tie, Unread
from lbproto_chat.semantic.words import stem

__all__ = ["Ambiguous", "Outside", "Reader", "Reading"]

_MAX_EARLIER = 8


class Reading(msgspec.Struct, frozen=True):
    """A question that is understood.

    Args:
        sql: the query that answers it.
        says: how it was read.
        shape: what its columns are.
        frame: its parts, for a question that goes on from it.
    """

    sql: str
    says: str
    shape: Shape
    frame: Frame

    @property
    def table(self) -> str:
        """What it is about."""
        return self.frame.table.name


class Ambiguous(msgspec.Struct, frozen=True):
    """A question that can be taken in several ways, none better than another."""

    readings: tuple[Reading, ...]

    @property
    def text(self) -> str:
        """The question back."""
        ways = "\n".join(f"- {each.says}" for each in self.readings)
        return f"I can read that in more than one way. Which do you mean?\n{ways}"


class Outside(msgspec.Struct, frozen=True):
    """A question that there is no answer to here; `text` says why, and what there is."""

    text: str


class Reader:
    """Reads questions about what a layer declares. It runs nothing, and needs no data.

    Args:
        layer: what questions can be about.
    """

    def __init__(self, layer: Layer) -> None:
        self._layer = layer
        self._lexicons = [(table, Lexicon(table)) for table in layer.tables]

    def read(self, question: str, history: Sequence[str] = ()) -> Reading | Ambiguous | Outside:
        """How a question is to be taken.

        Args:
            question: any text.
            history: earlier questions of the conversation, the oldest first; those that were not
                understood are passed over.
        """
        earlier: Reading | None = None
        for each in history[-_MAX_EARLIER:]:
            found = self._read(each, earlier)
            earlier = found if isinstance(found, Reading) else earlier
        return self._read(question, earlier)

    def _read(self, question: str, earlier: Reading | None) -> Reading | Ambiguous | Outside:
        if len(question) > MAX_CHARACTERS:
            return self._outside(f"A question may have {MAX_CHARACTERS:,} characters at most.")
        pieces = tokens(question)
        if not pieces:
            return self._outside("There is no question in that.")
        readings: dict[str, Reading] = {}
        named: dict[str, int] = {}
        reasons: list[tuple[int, str]] = []
        for table, lexicon in self._lexicons:
            before = earlier.frame if earlier and earlier.table == table.name else None
            for reading, names in self._of_table(table, lexicon, pieces, before, reasons):
                readings.setdefault(reading.sql, reading)
                named[reading.sql] = names
        found = list(readings.values())
        same = [each for each in found if earlier is not None and each.table == earlier.table]
        # A word that is a column's own name is rather that column than a synonym of another.
        most = max(named.values(), default=0)
        found = same or [each for each in found if named[each.sql] == most]
        if len(found) > 1:
            return Ambiguous(tuple(found))
        return found[0] if found else self._outside(min(reasons)[1])

    def _of_table(
        self,
        table: Table,
        lexicon: Lexicon,
        pieces: Sequence[Token],
        earlier: Frame | None,
        reasons: list[tuple[int, str]],
    ) -> Iterator[tuple[Reading, int]]:
        ways, unknown, slips = lexicon.read(pieces)
        if unknown:
            quoted = ", ".join(f"“{each[:40]}”" for each in unknown[:3])
            reasons.append((1 + len(unknown), f"I do not know {quoted} here."))
            return
        for way in ways:
            try:
                for frame in _frames(table, way):
                    yield _reading(frame, earlier, slips), sum(map(_is_column, way))
            except Beyond as beyond:
                reasons.append((0, f"There are no data of {beyond.text[:40]}."))
            except Unread as unread:
                words = ", ".join(f"“{each[:40]}”" for each in unread.words if each)
                why = (
                    f"I cannot tell what {words} asks for."
                    if words
                    else "I cannot tell what that asks for."
                )
                reasons.append((1, why))

    def _outside(self, why: str) -> Outside:
        return Outside(f"{why} {self._layer.about}.")


def _is_column(item: Item) -> bool:
    """The word is the name of the very column that it means."""
    thing = item.value
    column = thing.sql if isinstance(thing, Measure) else getattr(thing, "column", "")
    return item.kind in ("measure", "dimension") and column == stem(item.text)


def _frames(table: Table, items: Sequence[Item]) -> Iterator[Frame]:
    """The question's parts; several where a number may be of several measures."""
    try:
        yield frame_of(table, items)
    except Tie as tie:
        for measure in tie.measures:
            try:
                yield frame_of(table, items, measure)
            except Tie as another:
                raise Unread from another


def _reading(frame: Frame, earlier: Frame | None, slips: dict[str, str]) -> Reading:
    if "refers" in frame.asks and (earlier is None or earlier.rank is not None):
        raise Unread("it")  # what came of an earlier query is not known here
    if earlier is not None and (frame.goes_on or not frame.is_whole):
        if frame.is_empty:
            raise Unread
        frame = merged(earlier, frame)
    shape = shape_of(frame)
    says = "; ".join((shape.subject, *shape.details))
    if slips:
        says += "; " + ", ".join(f"“{word}” taken as “{right}”" for word, right in slips.items())
    return Reading(text_of(shape.query), f"{says} ({frame.table.name})", shape, frame)
