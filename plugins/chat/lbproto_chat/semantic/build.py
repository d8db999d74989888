"""From the parts of a question to the query that answers it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lbproto_chat.semantic.contrast import contrast
from lbproto_chat.semantic.figures import Figure, figure, measured, node_of, over
from lbproto_chat.semantic.frames import Frame, Group, Rank, Target
from lbproto_chat.semantic.layer import Entity, Measure
from lbproto_chat.semantic.settle import MAX_ROWS, settled
from lbproto_chat.semantic.sql import Call, Column, Node, Operation, Select, Star, all_of
from lbproto_chat.semantic.unread import Unread

__all__ = ["Shape", "shape_of"]

_LISTED = 10  # of "the largest", where that does not say how many
_FIRST = {
    "max": "largest first",
    "min": "smallest first",
    "first": "in order",
    "last": "latest first",
}


class Shape(NamedTuple):
    """A query and how it was read.

    Args:
        query: the query.
        figures: its columns.
        subject: what is asked for, in words.
        details: the conditions, groups and order, in words.
        notes: what has to be known of the answer.
    """

    query: Select
    figures: tuple[Figure, ...]
    subject: str
    details: tuple[str, ...]
    notes: tuple[str, ...]


def shape_of(frame: Frame) -> Shape:
    """The query for a question.

    Raises:
        Unread: it does not say enough, or asks for what cannot be made.
    """
    return _Builder(settled(frame)).shape()


class _Builder:
    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._table = frame.table
        self._details: list[str] = []
        self._entity = frame.entity or self._table.entity(self._table.default)

    def shape(self) -> Shape:
        frame = self._frame
        if frame.mode in ("share", "ratio", "difference"):
            return self._finish(*self._contrast())
        if "when" in frame.asks:
            return self._finish(*self._moment())
        if "groups" in frame.asks or (frame.havings and self._counts_groups):
            return self._finish(*self._number_of_groups())
        if any(each.outer for each in frame.targets) and frame.focus is None:
            return self._finish(*self._nested())
        if frame.rank is not None and not (frame.focus or frame.groups):
            made = bool(frame.targets) and all(each.op for each in frame.targets)
            return self._finish(*(self._of_first() if made else self._rows()))
        if frame.targets and not (frame.targets[0].op or frame.focus or frame.groups):
            return self._finish(*self._rows())
        if frame.targets or frame.focus or frame.groups:
            return self._finish(*self._grouped())
        if self._entity.key:
            frame.focus = Group(self._entity.name, self._entity.key, entity=self._entity)
            return self._finish(*self._grouped())
        return self._finish(*self._rows())

    def _finish(self, query: Select, figures: Iterable[Figure], subject: str) -> Shape:
        frame = self._frame
        details = [each.says for each in frame.conditions if each.says not in subject]
        details += [each.says for each in frame.havings]
        details += [f"for each {each.name}" for each in frame.groups]
        equal = dict(each.equal for each in frame.conditions if each.equal)
        notes = [
            each.thing.note
            for each in frame.targets
            if isinstance(each.thing, Measure)
            and each.thing.note
            and each.thing.note_where.items() <= equal.items()
        ]
        return Shape(
            query, tuple(figures), subject, (*dict.fromkeys(details), *self._details), tuple(notes)
        )

    @property
    def _where(self) -> Node | None:
        return all_of(*dict.fromkeys(each.test for each in self._frame.conditions))

    @property
    def _having(self) -> Node | None:
        return all_of(
            *(
                Operation(
                    each.operator, (node_of(self._table, each.target, each.where), each.value)
                )
                for each in self._frame.havings
            )
        )

    @property
    def _counts_groups(self) -> bool:
        targets = self._frame.targets
        return (
            len(targets) == 1
            and isinstance(targets[0].thing, Entity)
            and bool(targets[0].thing.key)
        )

    def _contrast(self) -> tuple[Select, list[Figure], str]:
        found, node, rows, subject = contrast(self._frame, self._entity)
        groups = self._frame.groups
        self._frame.conditions = rows
        items = [("", each.key) for each in groups] + [("", node)]
        keys = tuple(each.key for each in groups)
        query = Select(
            tuple(items),
            self._table.name,
            self._where,
            keys,
            self._having,
            tuple((key, False) for key in keys),
            MAX_ROWS if keys else None,
        )
        return query, [*map(_group_figure, groups), found], subject

    def _moment(self) -> tuple[Select, list[Figure], str]:
        """When: the rows that are asked about, their time first."""
        frame, time = self._frame, self._table.time
        if time is None:
            raise Unread("when")
        targets = frame.targets
        if frame.rank is None and len(targets) == 1 and targets[0].op in ("max", "min"):
            by = Target("", targets[0].thing)
            frame.rank = Rank("max" if targets[0].op == "max" else "min", by)
        frame.targets = ()
        if frame.rank is None and not any(each.equal for each in frame.conditions):
            raise Unread("when")
        query, figures, subject = self._rows()
        place = [each.name for each in figures].index(time.column)
        order = [place, *(each for each in range(len(figures)) if each != place)]
        items = tuple(query.items[each] for each in order)
        return query._replace(items=items), [figures[each] for each in order], f"when: {subject}"

    def _number_of_groups(self) -> tuple[Select, list[Figure], str]:
        """How many minutes, or how many transactions with more than two outputs."""
        frame = self._frame
        entity = frame.targets[0].thing if frame.targets else None
        group = frame.focus
        if isinstance(entity, Entity) and entity.key:
            group = Group(entity.name, entity.key, entity=entity)
        if group is None:
            raise Unread("how many")
        present = Operation("IS NOT NULL", (Column(group.column),))
        inner = Select(
            (("key", group.key),),
            self._table.name,
            all_of(self._where, present),
            (group.key,),
            self._having,
        )
        found = Figure(f"number of {group.entity.several if group.entity else group.name + 's'}")
        return Select((("", Call("count", (Star(),))),), inner), [found], found.name

    def _nested(self) -> tuple[Select, list[Figure], str]:
        """A figure of the figures of groups: the average number of inputs per transaction."""
        frame = self._frame
        target = frame.targets[0]
        groups = frame.among or frame.groups
        spread = bool(frame.groups) and all(
            each.span is None and each.entity is None for each in frame.groups
        )
        if len(frame.targets) > 1:
            raise Unread(target.outer)
        if not groups or (spread and not frame.among):
            if not isinstance(target.thing, Measure):
                raise Unread(target.outer)
            frame.targets = (Target(target.outer, target.thing),)
            return self._grouped()
        if frame.among and frame.groups:
            raise Unread(target.outer)
        keys = tuple(each.key for each in groups)
        value = node_of(self._table, target, unit=frame.unit)
        inner = Select((("value", value),), self._table.name, self._where, keys, self._having)
        found, function = over(target.outer, figure(target, frame.unit))
        name = f"{found.name} per {' and '.join(each.name for each in groups)}"
        frame.groups = ()
        query = Select((("", Call(function, (Column("value"),))),), inner)
        return query, [found._replace(name=name)], name

    def _rows(self) -> tuple[Select, list[Figure], str]:
        """Rows themselves, or what they have of some measures."""
        frame, table, entity = self._frame, self._table, self._entity
        if entity.key:
            raise Unread(entity.name)
        items: list[tuple[str, Node]] = []
        figures: list[Figure] = []
        for target in frame.targets:
            if not isinstance(target.thing, Measure) or target.op:
                raise Unread(target.op)
            found, node = measured(target.thing, frame.unit)
            items.append(("", node))
            figures.append(found)
        shown = [each for each in entity.show if self._column(each) not in figures]
        items += [("", Column(each)) for each in shown]
        figures += [self._column(each) for each in shown]
        order, limit = self._order_of_rows()
        if frame.rank is not None:
            self._details.append(_FIRST[frame.rank.direction])
            if limit != MAX_ROWS:
                self._details.append(f"{limit} at most")
        query = Select(
            tuple(items), table.name, self._where, order=order, limit=limit, skip=frame.skip
        )
        named = [each.name for each in figures[: len(frame.targets)]]
        return query, figures, " and ".join(named) + (" of " if named else "") + entity.several

    def _of_first(self) -> tuple[Select, list[Figure], str]:
        """Figures of the rows that come first: the average price of the ten largest trades."""
        frame, rank = self._frame, self._frame.rank
        order, limit = self._order_of_rows()
        inner = Select(
            (("", Star()),),
            self._table.name,
            self._where,
            order=order,
            limit=limit,
            skip=frame.skip,
        )
        nodes = [node_of(self._table, each, unit=frame.unit) for each in frame.targets]
        figures = [figure(each, frame.unit) for each in frame.targets]
        if rank is not None:
            self._details.append(f"of {limit}, {_FIRST[rank.direction]}")
        query = Select(tuple(("", node) for node in nodes), inner)
        return query, figures, " and ".join(each.name for each in figures)

    def _order_of_rows(self) -> tuple[tuple[tuple[Node, bool], ...], int]:
        frame, table, rank = self._frame, self._table, self._frame.rank
        ties: list[tuple[Node, bool]] = []
        if table.time is not None:
            ties = [(Column(table.time.order or table.time.column), False)]
        if rank is None:
            return tuple(ties), frame.limit or MAX_ROWS
        limit = self._limit
        if rank.direction in ("first", "last"):
            if not ties:
                raise Unread(rank.direction)
            return ((ties[0][0], rank.direction == "last"),), limit
        thing = rank.by.thing if rank.by else None
        if thing is None and self._entity.size:
            thing = table.measure(self._entity.size)
        if not isinstance(thing, Measure):
            raise Unread(rank.direction)
        _, node = measured(thing, None)
        return ((node, rank.direction == "max"), *ties), limit

    @property
    def _limit(self) -> int:
        """How many come first."""
        asks = self._frame.asks
        ordered = MAX_ROWS if "ordered" in asks else _LISTED if "several" in asks else 1
        return self._frame.limit or ordered

    def _column(self, column: str) -> Figure:
        if self._table.time is not None and column == self._table.time.column:
            return Figure(column, kind="time")
        for measure in self._table.measures:
            if measure.sql == column:
                return Figure(measure.name, measure.unit)
        return Figure(column, kind="text")

    def _grouped(self) -> tuple[Select, list[Figure], str]:
        """Figures, of all rows or of each group."""
        frame, table = self._frame, self._table
        groups = ((frame.focus,) if frame.focus else ()) + frame.groups
        keys = tuple(each.key for each in groups)
        targets = list(frame.targets)
        if frame.rank is not None and frame.rank.by is not None and frame.rank.by not in targets:
            targets.append(frame.rank.by)
        for having in frame.havings:
            if having.target not in targets and having.where is None:
                targets.append(having.target)
        nodes = [node_of(table, each, unit=frame.unit) for each in targets]
        order: list[tuple[Node, bool]] = [(key, False) for key in keys]
        limit, present = (MAX_ROWS if keys else None), None
        if frame.rank is not None and keys:
            by = targets.index(frame.rank.by) if frame.rank.by is not None else 0
            order.insert(0, (nodes[by], frame.rank.direction == "max"))
            limit = self._limit
            self._details.append(_FIRST[frame.rank.direction])
            if limit != MAX_ROWS:
                self._details.append(f"{limit} at most")
        elif keys and frame.limit:
            limit = frame.limit
        for each in groups:
            if each.entity is not None and each.entity.nullable:
                present = Operation("IS NOT NULL", (Column(each.column),))
        query = Select(
            (*(("", key) for key in keys), *(("", node) for node in nodes)),
            table.name,
            all_of(self._where, present),
            keys,
            self._having,
            tuple(order),
            limit,
            frame.skip,
        )
        figures = [*map(_group_figure, groups), *(figure(each, frame.unit) for each in targets)]
        subject = " and ".join(each.name for each in figures[len(groups) :])
        if frame.focus is not None:
            noun = frame.focus.entity.several if frame.focus.entity else f"{frame.focus.name}s"
            subject = f"{noun} by {subject}" if subject else noun
        return query, figures, subject


def _group_figure(group: Group) -> Figure:
    return Figure(group.name, kind="text" if group.span is None else "time")
