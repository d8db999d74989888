"""What a question can be made of: tables, and the words, units and times of what is in them.

A layer is declared beside the data by who knows them, in TOML; docs/how-to/semantic-layer.md has
the whole of it. Its SQL is its author's, and trusted; nothing that a user writes gets into it.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeAlias

import msgspec

from lbproto import UsageError

__all__ = [
    "Dimension",
    "Entity",
    "Filter",
    "Identifier",
    "Layer",
    "Measure",
    "Metric",
    "Table",
    "TimeColumn",
    "Unit",
]

Value: TypeAlias = str | int
Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


class TimeColumn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a row happened.

    Args:
        column: a TIMESTAMP or TIMESTAMPTZ in UTC.
        order: the column that tells which of two rows at one moment came first; `column` if empty.
        start: the first moment there are rows of; times without a day are of its day.
        until: the moment after the last.
    """

    column: str
    order: str = ""
    start: Moment = msgspec.field(name="from")
    until: Moment


class Entity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is counted: rows, or the values of a column.

    Args:
        name: in the singular.
        plural: where it is not the name with an s.
        words: that mean it, in the singular.
        key: the column whose values it is; empty: it is rows.
        number: the column that a number after its name is of ("transaction 5").
        nullable: there are rows without a `key`.
        show: the columns of a list of such rows.
        size: the measure by which one is larger than another.
        where: the values of columns that its rows have.
    """

    name: str
    plural: str = ""
    words: list[str]
    key: str = ""
    number: str = ""
    nullable: bool = False
    show: list[str] = []
    size: str = ""
    where: dict[str, Value] = {}

    @property
    def several(self) -> str:
        """Its plural."""
        return self.plural or f"{self.name}s"


class Measure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number that each row has.

    Args:
        name: as it is called in answers.
        words: that mean it.
        sums: words that mean its sum ("volume" is the sum of amounts).
        sql: the expression.
        unit: the name of its unit.
        adds: its sum makes sense; that of prices does not.
        where: the rows that it is of, unless the question says other ones.
        verbs: words that mean it where no figure is named ("spent").
        between: its least and its greatest value, or so; a number without a unit is one of it only
            if it is between them. None: only a number that says so is.
        low: adjectives whose superlative asks for the least of it.
        high: adjectives whose superlative asks for the most of it.
        note: what has to be known of an answer about rows of `note_where`.
        note_where: the values of columns which the rows have that `note` is about.
    """

    name: str
    words: list[str]
    sums: list[str] = []
    sql: str
    unit: str = ""
    adds: bool = True
    where: dict[str, Value] = {}
    verbs: list[str] = []
    between: tuple[float, float] | None = None
    low: list[str] = []
    high: list[str] = []
    note: str = ""
    note_where: dict[str, Value] = {}


class Metric(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A figure of many rows that is not a plain aggregate of one measure; `sql` is an aggregate."""

    name: str
    words: list[str]
    sql: str
    unit: str = ""


class Dimension(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What rows are grouped by: a column, and the words for its values (`labels`)."""

    name: str
    words: list[str]
    column: str
    labels: dict[str, list[str]] = {}


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows that have a name; `sql` is a condition."""

    name: str
    words: list[str]
    sql: str


class Unit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A unit; where it is `of` another, one of it is `factor` of that one."""

    name: str
    words: list[str]
    of: str = ""
    factor: int = 1


class Identifier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the values of a text column look like, as a regular expression of the whole value.

    Args:
        column: which.
        like: the expression.
        lower: values are compared in lower case.
    """

    column: str
    like: str
    lower: bool = False


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table, or a view.

    Args:
        name: in the catalogue.
        about: what is in it, as the end of a sentence.
        words: that go with it and change nothing ("on Binance").
        default: the name of the entity which a question is about that names none.
        time: when its rows happened, if they did.
    """

    name: str
    about: str
    words: list[str] = []
    default: str
    time: TimeColumn | None = None
    entities: list[Entity]
    measures: list[Measure] = []
    metrics: list[Metric] = []
    dimensions: list[Dimension] = []
    filters: list[Filter] = []
    units: list[Unit] = []
    ids: list[Identifier] = []

    def entity(self, name: str) -> Entity:
        """The entity of that name, which there is."""
        return next(each for each in self.entities if each.name == name)

    def measure(self, name: str) -> Measure:
        """The measure of that name, which there is."""
        return next(each for each in self.measures if each.name == name)

    def check(self) -> None:
        """Refuse a declaration that contradicts itself.

        Raises:
            UsageError: it names what it does not declare, or an expression cannot be compiled.
        """
        measures = {each.name for each in self.measures}
        units = {each.name for each in self.units}
        if self.default not in {each.name for each in self.entities}:
            raise UsageError(f"The table {self.name} has no entity {self.default}")
        for size in (each.size for each in self.entities):
            if size and size not in measures:
                raise UsageError(f"The table {self.name} has no measure {size}")
        named = [*(each.unit for each in self.measures), *(each.unit for each in self.metrics)]
        for unit in (*named, *(each.of for each in self.units)):
            if unit and unit not in units:
                raise UsageError(f"The table {self.name} has no unit {unit}")
        for identifier in self.ids:
            try:
                re.compile(identifier.like)
            except re.error as error:
                message = f"The pattern of {identifier.column} is not a regular expression: {error}"
                raise UsageError(message) from error


class Layer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All that questions can be about."""

    tables: list[Table]

    @classmethod
    def load(cls, path: Path | str) -> Layer:
        """Read a layer's TOML; blocks.

        Raises:
            OSError: it cannot be read.
            UsageError: it is not a layer; the message says where.
        """
        try:
            layer = msgspec.toml.decode(Path(path).read_bytes(), type=cls)
        except (msgspec.MsgspecError, ValueError) as error:
            raise UsageError(f"{path} is not a layer: {error}") from error
        for table in layer.tables:
            table.check()
        return layer

    @property
    def about(self) -> str:
        """What there are answers about, in one sentence."""
        return "I can answer questions about " + "; and about ".join(
            each.about for each in self.tables
        )
