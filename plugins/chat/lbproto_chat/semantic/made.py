"""What is to be made of what: the figures of a question."""

from __future__ import annotations

from typing import Literal, cast

from lbproto_chat.semantic.frames import Group, Mode, Rank, Target
from lbproto_chat.semantic.layer import Entity, Measure, Table, Unit
from lbproto_chat.semantic.unread import Unread
from lbproto_chat.semantic.words import stem

__all__ = ["Figures"]

_EXTREMES = frozenset({"max", "min", "first", "last"})


class Figures:
    """Operations that wait for what they are of, and the figures that come of both.

    Args:
        table: what the question is about.
        grouped: it asks for figures of groups.
    """

    def __init__(self, table: Table, *, grouped: bool) -> None:
        self._table = table
        self._grouped = grouped
        self._waiting: list[tuple[str, Measure | None]] = []
        self._targets: list[Target] = []
        self._parted = False  # an "and" has been said since the last figure
        self._asks: set[str] = set()
        self._entity: Entity | None = None
        self._focus: Group | None = None
        self._rank: Rank | None = None
        self._by = False  # the next figure is what rows come by
        self._by_only = False
        self._verb: Measure | None = None
        self._unit_said: Unit | None = None
        self._unit: Unit | None = None
        self._numbers: list[int] = []
        self._mode: Mode = ""

    def _noun(self, entity: Entity, text: str = "") -> None:
        waiting, self._waiting = self._waiting, []
        ops = [op for op, _ in waiting]
        if self._rank is not None and self._rank.by is None and not self._rank.often:
            self._rank, self._by = Rank(self._rank.direction, Target("count", entity)), False
            return
        if "count" in ops:
            outer = [op for op in ops if op not in ("count", "sum")]
            self._figure(Target("count", entity, outer[0] if outer else ""))
        elif ops and ops[-1] in _EXTREMES:
            self._asks.discard("several")
            if stem(text) != text.lower():
                self._asks.add("several")
            if self._rank is not None or len(_EXTREMES.intersection(ops)) > 1:
                raise Unread(text)  # "the largest buy and the largest sell"
            for op in ops[:-1]:  # "the average of the top 5 trades"
                if op not in _EXTREMES:
                    self._figure(Target(op, self._size(entity, op)))
            by = self._compared_by(entity, *waiting[-1])
            self._rank = Rank(cast('Literal["max", "min"]', ops[-1]), by)
            if entity.key:
                self._focus = Group(entity.name, entity.key, entity=entity)
            self._entity = entity
        elif ops:
            for op in ops:
                self._figure(Target(op, self._size(entity, op)))
        self._entity = self._entity or entity

    def _compared_by(self, entity: Entity, op: str, hint: Measure | None) -> Target | None:
        """By what the largest is the largest; by its usual size if this is none."""
        if self._focus is None or entity.key:
            return None if hint is None else Target("", hint)
        if op not in ("max", "min"):
            raise Unread(op)
        return Target(op, hint or self._size(entity, op))  # "the minute of the largest trade"

    def _size(self, entity: Entity, op: str) -> Measure:
        if self._verb is not None:
            return self._verb
        if not entity.size:
            raise Unread(op)
        return self._table.measure(entity.size)

    def _make(self, measure: Measure, op: str) -> None:
        waiting, self._waiting = self._waiting, []
        ops = [each for each, _ in waiting]
        if "count" in ops:
            if "distinct" not in self._asks or len(ops) > 1:
                raise Unread(measure.name)
            self._figure(Target("distinct", measure))
            return
        if self._by:
            self._figure(Target(op, measure))
        elif self._rank is not None and self._rank.often and not self._focus and not op:
            self._rank = None  # the most common price
            self._figure(Target("mode", measure))
        elif self._rank is not None and self._rank.by is None and not self._rank.often:
            self._rank = Rank(
                self._rank.direction, Target("sum" if measure.adds else "max", measure)
            )
        elif not ops:
            self._figure(Target(op, measure))
        elif len(ops) == 2 and ops[0] in ("max", "min") and not self._parted:
            target = Target(ops[1], measure)
            self._rank = Rank(cast('Literal["max", "min"]', ops[0]), target)
            self._figure(target)
        elif op:
            for each in ops:
                self._figure(Target(op, measure, "" if each == op else each))
        else:
            for each in ops:
                self._figure(Target(each, measure))
        self._parted = False

    def _figure(self, target: Target) -> None:
        if self._by:
            self._by_only = self._rank is None
            direction = self._rank.direction if self._rank else "max"
            self._rank = Rank(direction, target)
            self._by = False
            if self._by_only:
                self._asks.add("ordered")
        else:
            self._targets.append(target)

    def complete(self, *, counts: bool) -> None:
        """Name the figures that the question leaves unnamed.

        Args:
            counts: a question that counts, and does not say what, may mean rows.
        """
        counted = self._counting() and counts
        timed = "when" in self._asks and self._waiting and self._rank is None
        summed = counts and [op for op, _ in self._waiting] == ["sum"] and self._rank is None
        chosen = self._waiting and self._rank is None and self._asks & {"rows", "which"}
        if not self._targets and (counted or timed or summed or (chosen and self._entity)):
            self._noun(self._entity or self._table.entity(self._table.default))
        often = self._rank is not None and self._rank.often and self._rank.by is None
        if often and self._focus is None and len(self._targets) == 1 and not self._targets[0].op:
            self._targets = [Target("mode", self._targets[0].thing)]  # "which price most often"
            self._rank = None
        if self._by_only and self._targets and not (self._mode or self._grouped or self._focus):
            raise Unread("by")  # groups by values of a measure
        if self._by_only and self._mode and self._rank is not None and self._rank.by is not None:
            self._targets.append(self._rank.by)  # "the ratio by volume"
            self._rank = None
        if not self._targets and self._rank is None:
            self._imply()
        if self._grouped and self._waiting and not self._targets and self._entity is not None:
            self._targets.append(Target("count", self._entity))  # "outputs per transaction, top 5"

    def settle(self) -> None:
        """What still waits goes with the last figure."""
        last = self._targets[-1] if self._targets else None
        if last is None or not self._waiting:
            if self._by:
                raise Unread("by")
            return
        ops = [op for op, _ in self._waiting]
        ranked = (self._grouped and self._numbers) or (self._focus and last.op not in ("", "sum"))
        if ranked and len(ops) == 1 and ops[0] in ("max", "min"):
            self._rank = Rank(cast('Literal["max", "min"]', ops[0]), last)
        elif ops == ["sum"] and last.op in ("sum", "count"):
            pass
        elif last.op in ("", "sum") and isinstance(last.thing, Measure) and "count" not in ops:
            if last.op == "" or ops == ["median"]:
                self._targets[-1:] = [Target(op, last.thing) for op in ops]
            else:
                self._targets[-1] = Target("sum", last.thing, ops[0])
        elif last.op == "count" and len(ops) == 1 and ops[0] != "count":
            self._targets[-1] = Target("count", last.thing, ops[0])
        else:
            raise Unread(*ops)
        self._waiting = []

    def _imply(self) -> None:
        """A figure that only a verb or a unit names: "spent", "the average ETH"."""
        measure = self._verb
        if measure is None and self._unit_said is not None and (self._waiting or self._mode):
            units = (self._unit_said.name, self._unit_said.of)
            adds = not self._waiting or self._waiting[-1][0] == "sum"
            measures = (each for each in self._table.measures if each.unit in units)
            measure = next((each for each in measures if each.adds or not adds), None)
            self._unit = self._unit_said
        if measure is not None and (self._waiting or self._mode or "much" in self._asks):
            self._make(measure, "" if self._waiting else "sum")

    def _counting(self) -> bool:
        return any(op == "count" for op, _ in self._waiting)
