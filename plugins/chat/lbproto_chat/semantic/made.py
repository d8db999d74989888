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

    Attributes:
        waiting: operations that no noun or figure has come for, each with the measure it implies.
        by: the next figure is what rows come by.
        parted: an "and" has been said since the last figure.
        verb: the measure that a verb names.
        unit_said: the last unit; `unit` is what figures are to be in.
        numbers: how many are asked for.

    The others are as in a `Frame`.
    """

    def __init__(self, table: Table, *, grouped: bool) -> None:
        self._table = table
        self.grouped = grouped
        self.waiting: list[tuple[str, Measure | None]] = []
        self.targets: list[Target] = []
        self.parted = False
        self.asks: set[str] = set()
        self.entity: Entity | None = None
        self.focus: Group | None = None
        self.rank: Rank | None = None
        self.by = False
        self._by_only = False
        self.verb: Measure | None = None
        self.unit_said: Unit | None = None
        self.unit: Unit | None = None
        self.numbers: list[int] = []
        self.mode: Mode = ""

    @property
    def about(self) -> Entity:
        """The noun that has been said, or else the table's own."""
        return self.entity or self._table.entity(self._table.default)

    def noun(self, entity: Entity, text: str = "") -> None:
        """A noun comes: what waits goes with it.

        Args:
            entity: what it is.
            text: it, as it was said.

        Raises:
            Unread: that makes no figure.
        """
        waiting, self.waiting = self.waiting, []
        ops = [op for op, _ in waiting]
        if self.rank is not None and self.rank.by is None and not self.rank.often:
            self.rank, self.by = Rank(self.rank.direction, Target("count", entity)), False
            return
        if "count" in ops:
            outer = [op for op in ops if op not in ("count", "sum")]
            self.figure(Target("count", entity, outer[0] if outer else ""))
        elif ops and ops[-1] in _EXTREMES:
            self.asks.discard("several")
            if stem(text) != text.lower():
                self.asks.add("several")
            if self.rank is not None or len(_EXTREMES.intersection(ops)) > 1:
                raise Unread(text)  # "the largest buy and the largest sell"
            for op in ops[:-1]:  # "the average of the top 5 trades"
                if op not in _EXTREMES:
                    self.figure(Target(op, self._size(entity, op)))
            by = self._compared_by(entity, *waiting[-1])
            self.rank = Rank(cast('Literal["max", "min"]', ops[-1]), by)
            if entity.key:
                self.focus = Group(entity.name, entity.key, entity=entity)
            self.entity = entity
        elif ops:
            for op in ops:
                self.figure(Target(op, self._size(entity, op)))
        self.entity = self.entity or entity

    def _compared_by(self, entity: Entity, op: str, hint: Measure | None) -> Target | None:
        """By what the largest is the largest; its usual size if this names nothing."""
        if self.focus is None or entity.key:
            return None if hint is None else Target("", hint)
        if op not in ("max", "min"):
            raise Unread(op)
        return Target(op, hint or self._size(entity, op))  # "the minute of the largest trade"

    def _size(self, entity: Entity, op: str) -> Measure:
        if self.verb is not None:
            return self.verb
        if not entity.size:
            raise Unread(op)
        return self._table.measure(entity.size)

    def make(self, measure: Measure, op: str) -> None:
        """A measure comes: what waits is made of it, or of its `op` if the word has one.

        Raises:
            Unread: that makes no figure.
        """
        waiting, self.waiting = self.waiting, []
        ops = [each for each, _ in waiting]
        if "count" in ops:
            if "distinct" not in self.asks or len(ops) > 1:
                raise Unread(measure.name)
            self.figure(Target("distinct", measure))
            return
        if self.by:
            self.figure(Target(op, measure))
        elif self.rank is not None and self.rank.often and not self.focus and not op:
            self.rank = None  # the most common price
            self.figure(Target("mode", measure))
        elif self.rank is not None and self.rank.by is None and not self.rank.often:
            self.rank = Rank(self.rank.direction, Target("sum" if measure.adds else "max", measure))
        elif not ops:
            self.figure(Target(op, measure))
        elif len(ops) == 2 and ops[0] in ("max", "min") and not self.parted:
            target = Target(ops[1], measure)
            self.rank = Rank(cast('Literal["max", "min"]', ops[0]), target)
            self.figure(target)
        elif op:
            for each in ops:
                self.figure(Target(op, measure, "" if each == op else each))
        else:
            for each in ops:
                self.figure(Target(each, measure))
        self.parted = False

    def figure(self, target: Target) -> None:
        """Add a figure, or order by it after a "by"."""
        if self.by:
            self._by_only = self.rank is None
            direction = self.rank.direction if self.rank else "max"
            self.rank = Rank(direction, target)
            self.by = False
            if self._by_only:
                self.asks.add("ordered")
        else:
            self.targets.append(target)

    def complete(self, *, counts: bool) -> None:
        """Name the figures that the question leaves unnamed.

        Args:
            counts: a question that counts, and does not say what, may mean rows.
        """
        counted = self.counting and counts
        timed = "when" in self.asks and self.waiting and self.rank is None
        summed = counts and [op for op, _ in self.waiting] == ["sum"] and self.rank is None
        chosen = self.waiting and self.rank is None and self.asks & {"rows", "which"}
        if not self.targets and (counted or timed or summed or (chosen and self.entity)):
            self.noun(self.about)
        often = self.rank is not None and self.rank.often and self.rank.by is None
        if often and self.focus is None and len(self.targets) == 1 and not self.targets[0].op:
            self.targets = [Target("mode", self.targets[0].thing)]  # "which price most often"
            self.rank = None
        if self._by_only and self.targets and not (self.mode or self.grouped or self.focus):
            raise Unread("by")  # groups by values of a measure
        if self._by_only and self.mode and self.rank is not None and self.rank.by is not None:
            self.targets.append(self.rank.by)  # "the ratio by volume"
            self.rank = None
        if not self.targets and self.rank is None:
            self._imply()
        if self.grouped and self.waiting and not self.targets and self.entity is not None:
            self.targets.append(Target("count", self.entity))  # "outputs per transaction, top 5"

    def settle(self) -> None:
        """What still waits goes with the last figure."""
        last = self.targets[-1] if self.targets else None
        if last is None or not self.waiting:
            if self.by:
                raise Unread("by")
            return
        ops = [op for op, _ in self.waiting]
        ranked = (self.grouped and self.numbers) or (self.focus and last.op not in ("", "sum"))
        if ranked and len(ops) == 1 and ops[0] in ("max", "min"):
            self.rank = Rank(cast('Literal["max", "min"]', ops[0]), last)
        elif ops == ["sum"] and last.op in ("sum", "count"):
            pass
        elif last.op in ("", "sum") and isinstance(last.thing, Measure) and "count" not in ops:
            if last.op == "" or ops == ["median"]:
                self.targets[-1:] = [Target(op, last.thing) for op in ops]
            else:
                self.targets[-1] = Target("sum", last.thing, ops[0])
        elif last.op == "count" and len(ops) == 1 and ops[0] != "count":
            self.targets[-1] = Target("count", last.thing, ops[0])
        else:
            raise Unread(*ops)
        self.waiting = []

    def _imply(self) -> None:
        """A figure that only a verb or a unit names: "spent", "the average ETH"."""
        measure = self.verb
        if measure is None and self.unit_said is not None and (self.waiting or self.mode):
            units = (self.unit_said.name, self.unit_said.of)
            adds = not self.waiting or self.waiting[-1][0] == "sum"
            measures = (each for each in self._table.measures if each.unit in units)
            measure = next((each for each in measures if each.adds or not adds), None)
            self.unit = self.unit_said
        if measure is not None and (self.waiting or self.mode or "much" in self.asks):
            self.make(measure, "" if self.waiting else "sum")

    @property
    def counting(self) -> bool:
        """A "how many" waits."""
        return any(op == "count" for op, _ in self.waiting)
