"""What a question asks for, part by part, before it is a query.

A question that goes on from an earlier one has some parts only: `merged` has the others from that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from lbproto_chat.semantic.layer import Entity, Measure, Metric, Table, Unit
from lbproto_chat.semantic.sql import Call, Column, Node, Operation, Span, Value

__all__ = ["Condition", "Frame", "Group", "Having", "Rank", "Target", "column_is", "merged"]

Thing = Entity | Measure | Metric


class Condition(msgspec.Struct, frozen=True):
    """Which rows.

    Args:
        key: what it is about; a later condition about the same takes its place.
        says: it, in words.
        test: it, on a row.
        equal: the column and the value, where that is what it asks for.
        measure: what it compares, if that is a measure.
        summed: it follows words that mean a sum, or whoever has one, not single rows.
        of_entity: it is what makes a row that of an entity.
    """

    key: str
    says: str
    test: Node
    equal: tuple[str, str | int] | None = None
    measure: Measure | None = None
    operator: str = ""
    value: Value | None = None
    summed: bool = False
    of_entity: bool = False


def column_is(
    column: str, value: str | int, says: str = "", *, of_entity: bool = False
) -> Condition:
    """That a column has a value."""
    test = Operation("=", (Column(column), Value(value)))
    says = says or f"{column} is {value}"
    return Condition(f"column:{column}", says, test, equal=(column, value), of_entity=of_entity)


class Group(msgspec.Struct, frozen=True):
    """What rows are put together by: a column's values, or spans of time."""

    name: str
    column: str
    span: Span | None = None
    entity: Entity | None = None

    @property
    def key(self) -> Node:
        """What a row is put under."""
        if self.span is None:
            return Column(self.column)
        if self.span.number == 1:
            return Call("date_trunc", (Value(self.span.unit), Column(self.column)))
        return Call("time_bucket", (self.span, Column(self.column)))


class Target(msgspec.Struct, frozen=True):
    """A figure: what is made (`op`) of what (`thing`); an empty `op` is left to what it is of.

    `outer` is what is made of such figures in turn: the average number of inputs.
    """

    op: str
    thing: Thing
    outer: str = ""


class Having(msgspec.Struct, frozen=True):
    """Which groups: those with so many of an entity, or so much of a measure."""

    target: Target
    operator: str
    value: Value
    says: str
    where: Node | None = None


class Rank(msgspec.Struct, frozen=True):
    """Which come first: those with the most or least of something, the earliest or latest."""

    direction: Literal["max", "min", "first", "last"]
    by: Target | None = None
    often: bool = False


Mode = Literal["", "share", "ratio", "difference", "compare"]


class Frame(msgspec.Struct, kw_only=True):
    """The parts of a question.

    Args:
        table: what it is about.
        asks: which of "when", "list", "which", "count", "much" and "distinct" it uses; "groups",
            where groups themselves are counted; "rows", where single rows are what it asks for;
            "several", where the noun is a plural; "ordered", where all are to be put in order;
            "refers", where an "it" stands for what an earlier question was about.
        targets: the figures that it names.
        ops: what is to be made, where it does not say of what.
        entity: the noun that it is about.
        focus: of which groups it asks which.
        groups: what figures are asked for each of.
        among: groups that a figure is first made of, then one of all of them ("in any minute").
        conditions: which rows.
        havings: which groups.
        rank: which come first.
        limit: how many.
        skip: after how many.
        mode: how figures are set against each other.
        part: the conditions of a share's part.
        unit: what figures are to be in.
        turned: the operator of a "before that", whose time an earlier question has said.
        goes_on: it begins like one that goes on from another.
    """

    table: Table
    asks: frozenset[str] = frozenset()
    targets: tuple[Target, ...] = ()
    ops: tuple[str, ...] = ()
    entity: Entity | None = None
    focus: Group | None = None
    groups: tuple[Group, ...] = ()
    among: tuple[Group, ...] = ()
    conditions: tuple[Condition, ...] = ()
    havings: tuple[Having, ...] = ()
    rank: Rank | None = None
    limit: int | None = None
    skip: int = 0
    mode: Mode = ""
    part: tuple[Condition, ...] = ()
    unit: Unit | None = None
    turned: str = ""
    goes_on: bool = False

    @property
    def is_empty(self) -> bool:
        """It says nothing that an earlier question could be changed by."""
        return not (
            self.targets
            or self.ops
            or self.entity
            or self.focus
            or self.groups
            or self.among
            or self.conditions
            or self.havings
            or self.rank
            or self.limit
            or self.skip
            or self.unit
            or self.turned
            or self.asks & {"when", "list"}
        )

    @property
    def is_whole(self) -> bool:
        """It says what is asked for, and does not need an earlier question for that."""
        nouns = self.entity is not None and bool(
            self.asks or self.groups or self.havings or self.mode
        )
        ranked = self.rank is not None and ("ordered" not in self.asks or self.entity is not None)
        return bool(self.targets or ranked or self.focus or nouns or "much" in self.asks)


def merged(earlier: Frame, later: Frame) -> Frame:
    """The later question, with what it does not say from the earlier one."""
    frame = msgspec.structs.replace(earlier, goes_on=False)
    frame.conditions = _instead(earlier.conditions, later.conditions)
    if later.targets:
        same = len(earlier.targets) == len(later.targets) == 1
        op = earlier.targets[0].op if same else ""
        plain = isinstance(later.targets[0].thing, Measure) and not later.targets[0].op
        frame.targets = (
            (msgspec.structs.replace(later.targets[0], op=op),)
            if same and plain and op not in ("", "count")
            else later.targets
        )
        frame.mode, frame.rank, frame.limit = later.mode, later.rank, later.limit
    elif later.ops:
        _make(frame, later.ops)
    elif later.rank is not None and later.rank.by is not None and earlier.mode:
        frame.targets = (later.rank.by,)
    elif later.rank is not None:
        frame.rank = later.rank
    elif "list" in later.asks and all(each.op == "count" for each in frame.targets):
        frame.targets = ()
    if later.entity is not None:
        frame.entity = later.entity
        if not later.targets:
            frame.targets = tuple(
                Target(each.op, later.entity) if isinstance(each.thing, Entity) else each
                for each in frame.targets
            )
    frame.asks = frame.asks | later.asks
    frame.focus = later.focus or earlier.focus
    frame.groups = _groups(earlier.groups, (*later.groups, *later.among))
    frame.havings = later.havings or earlier.havings
    frame.limit, frame.skip = later.limit or frame.limit, later.skip or frame.skip
    frame.unit = later.unit or earlier.unit
    frame.mode, frame.part = later.mode or frame.mode, later.part or earlier.part
    if later.turned:
        frame.conditions = tuple(_turned(each, later.turned) for each in frame.conditions)
    return frame


def _make(frame: Frame, ops: tuple[str, ...]) -> None:
    """Put other operations in the place of those that there are."""
    noun = frame.entity or frame.table.entity(frame.table.default)
    if ops == ("count",):
        frame.targets, frame.rank, frame.limit = (Target("count", noun),), None, None
        return
    if any(isinstance(each.thing, Entity) for each in frame.targets):
        frame.ops = ops  # of a count there is no other operation
    elif frame.targets:
        things = {each.thing.name: each.thing for each in frame.targets}
        frame.targets = tuple(Target(op, thing) for thing in things.values() for op in ops)
    elif frame.rank is not None and ops[0] in ("max", "min", "first", "last"):
        direction = ops[0]
        frame.rank = msgspec.structs.replace(frame.rank, direction=direction)
    else:
        frame.ops = ops


def _instead(earlier: Iterable[Condition], later: tuple[Condition, ...]) -> tuple[Condition, ...]:
    keys = {each.key for each in later}
    return (*(each for each in earlier if each.key not in keys), *later)


def _groups(earlier: tuple[Group, ...], later: tuple[Group, ...]) -> tuple[Group, ...]:
    columns = {each.column for each in later}
    return (*(each for each in earlier if each.column not in columns), *later)


def _turned(condition: Condition, operator: str) -> Condition:
    """A condition on time, turned to the other side of its first moment."""
    if condition.key != "time" or condition.value is None:
        return condition
    column = condition.test.arguments[0] if isinstance(condition.test, Operation) else None
    if not isinstance(column, Column):
        return condition
    word = "from" if operator == ">=" else "before"
    return Condition(
        "time",
        f"{word} {condition.says.partition(' ')[2]}",
        Operation(operator, (column, condition.value)),
        operator=operator,
        value=condition.value,
    )
