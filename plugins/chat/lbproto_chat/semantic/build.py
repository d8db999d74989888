"""From the parts of a question to the query that answers it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from lbproto_chat.semantic.contrast import contrast, sides_of
from lbproto_chat.semantic.figures import Figure, figure, measured, node_of, over
from lbproto_chat.semantic.frames import Condition, Frame, Group, Having, Rank, Target, column_is
from lbproto_chat.semantic.layer import Entity, Measure
from lbproto_chat.semantic.parse import Unread
from lbproto_chat.semantic.sql import Call, Column, Node, Operation, Select, Star, all_of

__all__ = ["MOST_ROWS", "Shape", "shape_of"]

MOST_ROWS = 10_000
"""Of an answer; more are left out."""

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
    return _Builder(msgspec.structs.replace(frame)).shape()


class _Builder:
    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._table = frame.table
        self._details: list[str] = []
        self._entity = frame.entity or self._table.entity(self._table.default)
        self._settle()

    # What the question leaves to the table.

    def _settle(self) -> None:
        frame = self._frame
        much = "much" in frame.asks and not frame.targets and frame.rank is None
        if much:
            op = frame.ops[0] if frame.ops else "sum"
            frame.targets, frame.ops = (Target(op, self._asked_measure()),), frame.ops[1:]
        if (
            frame.limit
            and frame.rank is None
            and (frame.targets or not frame.asks & {"list", "which"})
        ):
            raise Unread(str(frame.limit))
        if not (frame.is_whole or frame.entity or frame.focus) or frame.ops:
            raise Unread(*frame.ops)
        if frame.rank is not None and self._entity.key and not (frame.focus or frame.groups):
            frame.focus = Group(self._entity.name, self._entity.key, entity=self._entity)
        if frame.unit is not None:
            frame.targets = tuple(map(self._in_unit, frame.targets))
        self._group_by_sides()
        if frame.groups and not frame.targets and frame.rank is None:
            frame.targets = (Target("count", self._entity),)
        self._move_to_groups()
        frame.targets = tuple(each for target in frame.targets for each in self._made(target))
        self._default_rows()

    def _asked_measure(self) -> Measure:
        unit = self._frame.unit
        for measure in self._table.measures:
            if unit and measure.adds and measure.unit in (unit.name, unit.of):
                return measure
        if unit is not None or not self._entity.size:
            raise Unread(unit.name if unit else "how much")
        return self._table.measure(self._entity.size)

    def _in_unit(self, target: Target) -> Target:
        """The figure that is in the unit which is asked for: a volume in USDT is a turnover."""
        unit, thing = self._frame.unit, target.thing
        if unit is None or isinstance(thing, Entity) or thing.unit in (unit.name, unit.of):
            return target
        if target.op in ("", "sum") and isinstance(thing, Measure) and thing.adds:
            return msgspec.structs.replace(target, thing=self._asked_measure())
        raise Unread(unit.name)

    def _group_by_sides(self) -> None:
        """Where rows are asked for that have one value of a column and rows that have another."""
        frame = self._frame
        sides = sides_of(frame)
        if not sides or frame.mode in ("ratio", "difference", "share"):
            return
        column = sides[0].key.partition(":")[2]
        kept = tuple(each for each in frame.conditions if each not in sides)
        values = {each.equal[1] for each in sides if each.equal}
        labels = [each for each in self._table.dimensions if each.column == column]
        if not labels or values != set(labels[0].labels):
            test = Operation("OR", tuple(each.test for each in sides))
            kept += (Condition(f"sides:{column}", " or ".join(s.says for s in sides), test),)
        frame.conditions = kept
        name = labels[0].name if labels else column
        if all(group.column != column for group in frame.groups):
            frame.groups += (Group(name, column),)
        if frame.mode == "compare" and frame.rank is None:
            frame.rank, frame.limit = Rank("max"), MOST_ROWS
        if not frame.targets:
            frame.targets = (Target("count", self._entity),)

    def _move_to_groups(self) -> None:
        """Conditions on sums are such on groups, where groups are asked for."""
        frame = self._frame
        if not (frame.focus or self._entity.key or frame.groups):
            return
        for each in frame.conditions:
            if each.summed and each.measure and each.value:
                target = Target("sum", each.measure)
                frame.havings += (Having(target, each.operator, each.value, f"total {each.says}"),)
        frame.conditions = tuple(each for each in frame.conditions if not each.summed)

    def _made(self, target: Target) -> Iterable[Target]:
        thing, frame = target.thing, self._frame
        if target.op == "range":
            yield from (Target("min", thing), Target("max", thing), Target("spread", thing))
        elif target.op or not isinstance(thing, Measure) or self._is_of_rows:
            yield target
        else:
            yield Target("sum" if thing.adds else "avg", thing)
        grouped = frame.groups or frame.among or frame.focus
        if target.outer and target.op != "sum" and not grouped:
            raise Unread(target.outer)

    @property
    def _is_of_rows(self) -> bool:
        """It asks for what single rows have."""
        frame = self._frame
        ranked = frame.rank is not None and not (frame.focus or frame.groups)
        numbered = any(each.key == f"column:{self._entity.number}" for each in frame.conditions)
        return ranked or numbered or ("list" in frame.asks and not frame.groups)

    def _default_rows(self) -> None:
        """A measure is of some rows, unless the question says which."""
        frame = self._frame
        by = (frame.rank.by,) if frame.rank and frame.rank.by else ()
        things = [each.thing for each in (*frame.targets, *by, *(h.target for h in frame.havings))]
        if (
            frame.rank
            and not by
            and not frame.rank.often
            and not frame.targets
            and self._entity.size
        ):
            things.append(self._table.measure(self._entity.size))
        things += [each.measure for each in frame.conditions if each.measure]
        said = {each.key.partition(":")[2] for each in frame.conditions}
        said |= {each.column for each in frame.groups}
        for thing in things:
            for column, value in thing.where.items() if isinstance(thing, Measure) else ():
                if column not in said:
                    said.add(column)
                    frame.conditions += (column_is(column, value),)

    # The query.

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
        if frame.targets or frame.focus or frame.groups:
            return self._finish(*self._grouped())
        if self._entity.key:
            frame.focus = Group(self._entity.name, self._entity.key, entity=self._entity)
            return self._finish(*self._grouped())
        return self._finish(*self._rows())

    def _finish(self, query: Select, figures: Iterable[Figure], subject: str) -> Shape:
        frame = self._frame
        details = [each.says for each in frame.conditions if not each.of_entity]
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
        return Shape(query, tuple(figures), subject, (*details, *self._details), tuple(notes))

    @property
    def _where(self) -> Node | None:
        return all_of(*dict.fromkeys(each.test for each in self._frame.conditions))

    @property
    def _having(self) -> Node | None:
        return all_of(
            *(
                Operation(
                    each.operator,
                    (
                        node_of(self._table, each.target, each.where),
                        each.value,
                    ),
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
            MOST_ROWS if keys else None,
        )
        return query, [*map(_group_figure, groups), found], subject

    def _moment(self) -> tuple[Select, list[Figure], str]:
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
        frame = self._frame
        entity = frame.targets[0].thing if frame.targets else None
        group = frame.focus
        if isinstance(entity, Entity):
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
        outside = frame.groups if frame.among else ()
        if outside:
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
        items += [("", Column(each)) for each in entity.show]
        figures += [self._column(each) for each in entity.show]
        order, limit = self._order_of_rows()
        if frame.rank is not None:
            self._details.append(_FIRST[frame.rank.direction])
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
            return tuple(ties), frame.limit or MOST_ROWS
        limit = frame.limit or (_LISTED if "several" in frame.asks else 1)
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
        self._rank_focus()
        groups = ((frame.focus,) if frame.focus else ()) + frame.groups
        keys = tuple(each.key for each in groups)
        targets = list(frame.targets)
        if frame.rank is not None and frame.rank.by is not None and frame.rank.by not in targets:
            targets.append(frame.rank.by)
        targets += [
            each.target for each in frame.havings if each.target not in targets and not each.where
        ]
        nodes = [node_of(table, each, unit=frame.unit) for each in targets]
        order: list[tuple[Node, bool]] = [(key, False) for key in keys]
        limit, present = (MOST_ROWS if keys else None), None
        if frame.rank is not None and keys:
            by = targets.index(frame.rank.by) if frame.rank.by is not None else 0
            order.insert(0, (nodes[by], frame.rank.direction == "max"))
            limit = frame.limit or (_LISTED if "several" in frame.asks else 1)
            self._details.append(_FIRST[frame.rank.direction])
            if limit != MOST_ROWS:
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

    def _rank_focus(self) -> None:
        """Say by what figure groups come first."""
        frame = self._frame
        if frame.focus is None and not frame.groups:
            return
        target = frame.targets[0] if frame.targets else None
        if frame.rank is None and frame.focus is not None and target is not None:
            if target.outer in ("max", "min"):
                direction, by = target.outer, msgspec.structs.replace(target, outer="")
            elif target.op in ("max", "min") and isinstance(target.thing, Measure):
                summed = target.thing.adds and frame.focus.entity is not None
                direction, by = target.op, Target("sum", target.thing) if summed else target
            else:
                return
            frame.targets = ()
            frame.rank = Rank("max" if direction == "max" else "min", by)
        elif frame.rank is not None and (frame.rank.by is None or not frame.rank.by.op):
            frame.rank = msgspec.structs.replace(frame.rank, by=self._ranked_by(frame.rank, target))

    def _ranked_by(self, rank: Rank, target: Target | None) -> Target:
        if rank.often:
            return Target("count", self._rows_entity)
        if rank.by is not None and isinstance(rank.by.thing, Measure):
            return Target("sum" if rank.by.thing.adds else rank.direction, rank.by.thing)
        if target is not None:
            return target
        if rank.direction in ("first", "last") or not self._entity.size:
            raise Unread(rank.direction)
        return Target("sum", self._table.measure(self._entity.size))

    @property
    def _rows_entity(self) -> Entity:
        """The entity whose single rows are counted."""
        return self._entity if not self._entity.key else self._table.entity(self._table.default)


def _group_figure(group: Group) -> Figure:
    return Figure(group.name, kind="text" if group.span is None else "time")
