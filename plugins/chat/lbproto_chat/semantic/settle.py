"""What a question leaves open, settled: which figure, which rows, by what groups come first.

Theory of operation. The parts of a question are completed one after the other, each step from what
those before it have settled. The order matters: figures are known before the rows that they are of
by default, and those before what groups are ordered by.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from lbproto_chat.semantic.contrast import sides_of
from lbproto_chat.semantic.frames import Condition, Frame, Group, Having, Rank, Target, column_is
from lbproto_chat.semantic.layer import Entity, Measure
from lbproto_chat.semantic.sql import Operation
from lbproto_chat.semantic.unread import Unread

__all__ = ["MAX_ROWS", "settled"]

MAX_ROWS = 10_000
"""Of an answer; more are left out."""


def settled(frame: Frame) -> Frame:
    """The whole of a question.

    Raises:
        Unread: it does not say enough, or contradicts itself.
    """
    return _Settling(msgspec.structs.replace(frame)).settled()


class _Settling:
    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._table = frame.table
        self._entity = frame.entity or self._table.entity(self._table.default)

    def settled(self) -> Frame:
        frame = self._frame
        self._rank_rows()
        if "much" in frame.asks and not frame.targets and frame.rank is None:
            op = frame.ops[0] if frame.ops else "sum"
            frame.targets, frame.ops = (Target(op, self._asked_measure()),), frame.ops[1:]
        counted = frame.rank is None and not frame.focus and (frame.limit or frame.skip)
        if counted and (frame.targets or not frame.asks & {"list", "which"}):
            raise Unread(str(counted))
        if frame.ops or not self._says_enough:
            raise Unread(*frame.ops)
        if frame.rank is not None and self._entity.key and not (frame.focus or frame.groups):
            frame.focus = Group(self._entity.name, self._entity.key, entity=self._entity)
        if frame.unit is not None:
            frame.targets = tuple(map(self._in_unit, frame.targets))
        self._group_by_sides()
        if frame.groups and not frame.targets and frame.rank is None:
            frame.targets = (Target("count", self._entity),)
        self._move_to_groups()
        made = [each for target in frame.targets for each in self._made(target)]
        frame.targets = tuple(each for place, each in enumerate(made) if each not in made[:place])
        self._default_rows()
        self._rank_focus()
        return frame

    @property
    def _says_enough(self) -> bool:
        frame = self._frame
        if frame.targets or frame.rank or frame.entity:
            return True
        listed = bool(frame.asks & {"list", "which"})
        if frame.focus is None:
            return listed and bool(frame.conditions)
        return listed or bool(frame.havings) or frame.focus.span is None

    def _rank_rows(self) -> None:
        """Rows are asked for where it is which have the most, or the five highest prices."""
        frame = self._frame
        rank = frame.rank
        plain = rank is not None and not rank.often and (rank.by is None or not rank.by.op)
        if rank is not None and plain and frame.groups and not (frame.focus or frame.targets):
            self._rank_each(rank)
        if frame.rank is not None or frame.focus or frame.groups or len(frame.targets) != 1:
            return
        (target,) = frame.targets
        several = "rows" in frame.asks or frame.limit or frame.skip
        op = "" if frame.among else target.outer or target.op
        if op in ("max", "min") and isinstance(target.thing, Measure) and several:
            frame.rank = Rank("max" if op == "max" else "min", Target("", target.thing))
            frame.targets = (Target("", target.thing),)

    def _rank_each(self, rank: Rank) -> None:
        """The largest of each group is a figure of it."""
        frame = self._frame
        thing = rank.by.thing if rank.by else None
        if thing is None and self._entity.size:
            thing = self._table.measure(self._entity.size)
        if thing is None or frame.limit or frame.skip or self._entity.key:
            raise Unread(rank.direction)
        frame.targets, frame.rank = (Target(rank.direction, thing),), None

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
        kept = tuple(each for each in frame.conditions if each.key != sides[0].key)
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
            frame.rank, frame.limit = Rank("max"), MAX_ROWS
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
