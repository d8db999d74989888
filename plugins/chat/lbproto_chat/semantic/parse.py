"""From the words of a question to its parts.

Theory of operation. When numbers have their units and the conditions and groups are found, what is
left is gone through once, from left to right. Words that say what is to be made ("average",
"largest", "how many") wait until the noun comes that they go with; what waits at the end goes with
the last noun ("the volume was lowest"). A word that no rule uses makes the question unread: to
leave it out could turn its meaning round.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast

from lbproto_chat.semantic.conditions import Conditions
from lbproto_chat.semantic.frames import Condition, Frame, Mode, Rank, Target, column_is
from lbproto_chat.semantic.layer import Entity, Filter, Measure, Metric, Table, Unit
from lbproto_chat.semantic.lexicon import Item
from lbproto_chat.semantic.made import Figures
from lbproto_chat.semantic.slots import group_of, groups, slots
from lbproto_chat.semantic.sql import Operation, Span, Trusted
from lbproto_chat.semantic.tokens import Nth, Number
from lbproto_chat.semantic.unread import Beyond, Unread
from lbproto_chat.semantic.words import stem

__all__ = ["frame_of"]

_OFTEN = ("often", "frequent", "active", "common", "popular", "busiest", "quietest", "rarest")
_MODES: dict[str, Mode] = {
    "share": "share",
    "ratio": "ratio",
    "difference": "difference",
    "compare": "compare",
    ">": "compare",
    "<": "compare",
}
_IGNORED = frozenset({"of", "to", "than", "or", "held", "said", "that", "from"})
_LIMIT = 10_000


def frame_of(table: Table, items: Sequence[Item], assumed: Measure | None = None) -> Frame:
    """The parts of a question.

    Args:
        table: what it is about.
        items: its words.
        assumed: the measure that numbers are of which do not say so.

    Raises:
        Tie: a number may be of several measures, and none is assumed.
        Unread: no rule uses a word.
        Beyond: see there.
    """
    first = items[0].kind if items else ""
    conditions = Conditions(table, slots(items), assumed)
    left, found, among = groups(table, conditions.found())
    if conditions.times.beyond:
        raise Beyond(conditions.times.beyond[0])
    frame = _Parser(table, left, grouped=bool(found)).frame()
    frame.groups, frame.among = tuple(found), tuple(among)
    frame.havings = tuple(conditions.havings)
    frame.turned = conditions.times.turned
    frame.goes_on = first in ("follow", "and", "only", "or") or "refers" in frame.asks
    return frame


class _Parser:
    def __init__(self, table: Table, items: Sequence[Item], *, grouped: bool) -> None:
        self._table = table
        self._made = Figures(table, grouped=grouped)
        self._items = items
        self._place = 0
        self._conditions: list[Condition] = []
        self._part_from: int | None = None
        self._part_until: int | None = None
        self._focused = False  # the next noun is what is asked for
        self._negated = False
        self._skip = 0
        self._order: Literal["max", "min"] | None = None
        self._each: Entity | None = None

    def frame(self) -> Frame:
        for place, item in enumerate(self._items):
            self._place = place
            if item.kind in _MODES:
                self._made.mode = self._made.mode or _MODES[item.kind]
            elif item.kind not in _IGNORED:
                rule = getattr(self, f"on_{item.kind}", None)
                if rule is None:
                    raise Unread(item.text)
                rule(item)
            if item.kind != "which" and not (item.kind == "condition" and self._focused):
                self._focused = self._focused and item.kind in ("any", "label")
        self._made.complete(counts=bool(self._conditions))
        self._made.settle()
        if self._order is not None and self._made.rank is None:
            self._made.rank = Rank(
                self._order, self._made.targets[0] if self._made.targets else None
            )
            self._made.asks.add("ordered")
        if len(self._made.numbers) > 1:
            raise Unread(str(self._made.numbers[-1]))
        if self._negated:
            raise Unread("not")
        noun = self._made.about
        if self._each is not None and self._each.where != noun.where:
            raise Unread(self._each.name)
        part: list[Condition] = []
        if self._part_from is not None or self._part_until is not None:
            part = self._conditions[self._part_from : self._part_until]
        return Frame(
            table=self._table,
            asks=frozenset(self._made.asks),
            targets=tuple(self._made.targets),
            ops=tuple(op for op, _ in self._made.waiting),
            entity=self._made.entity,
            focus=self._made.focus,
            conditions=tuple(self._conditions),
            rank=self._made.rank,
            limit=min(self._made.numbers[0], _LIMIT) if self._made.numbers else None,
            skip=self._skip,
            mode=self._made.mode,
            part=tuple(part),
            unit=self._made.unit or self._converted_to(),
        )

    def _converted_to(self) -> Unit | None:
        """The unit that is named beside the figures, if it is another than they have."""
        unit, things = self._made.unit_said, [each.thing for each in self._made.targets]
        fits = all(not isinstance(each, Entity) and each.unit == unit.of for each in things if unit)
        return unit if unit and unit.of and things and fits else None

    # What is asked for, and what is to be made.

    def on_count(self, _item: Item) -> None:
        self._made.asks.add("count")
        if self._made.by and self._after() not in ("entity", "label"):  # "sorted by count"
            self._made.figure(Target("count", self._made.about))
        else:
            self._made.waiting.append(("count", None))

    def on_much(self, _item: Item) -> None:
        self._made.asks.add("much")

    def on_when(self, _item: Item) -> None:
        self._made.asks.add("when")

    def on_list(self, _item: Item) -> None:
        self._made.asks.add("list")

    def on_which(self, _item: Item) -> None:
        self._made.asks.add("which")
        self._focused = True

    def on_op(self, item: Item) -> None:
        if item.value == "distinct":
            self._made.asks.add("distinct")
        elif item.value in ("range", "change", "stddev") and self._measure_waits():
            self._made.targets[-1] = Target(str(item.value), self._made.targets[-1].thing)
        else:
            self._made.waiting.append((str(item.value), None))

    def on_move(self, _item: Item) -> None:
        """How far a price moved; of anything else it says no more than "traded" does."""
        if self._measure_waits():
            self._made.targets[-1] = Target("change", self._made.targets[-1].thing)

    def on_super(self, item: Item) -> None:
        op, measure = item.value if isinstance(item.value, tuple) else (item.value, None)
        self._made.waiting.append((str(op), cast("Measure | None", measure)))

    def on_comparative(self, item: Item) -> None:
        """A "higher" that no number follows, but another figure if any."""
        operator, _ = cast("tuple[str, Measure]", item.value)
        if "which" in self._made.asks:
            self._made.waiting.append(("max" if operator == ">" else "min", None))
        else:
            self._made.mode = self._made.mode or (
                "difference" if "much" in self._made.asks else "compare"
            )

    def on_more(self, item: Item) -> None:
        if "which" in self._made.asks:
            self.on_most(item)
        else:
            self._made.mode = self._made.mode or "compare"

    def on_most(self, item: Item) -> None:
        often = any(word in item.text.lower() for word in _OFTEN)
        self._made.rank = Rank(cast('Literal["max", "min"]', item.value), often=often)

    def on_number(self, item: Item) -> None:
        number = cast("Number", item.value).value
        if number != int(number) or number < 1:
            raise Unread(item.text)
        self._made.numbers.append(int(number))

    def on_nth(self, item: Item) -> None:
        self._skip = cast("Nth", item.value).place - 1
        if self._skip < 0 or self._skip > _LIMIT:
            raise Unread(item.text)

    def on_unit(self, item: Item) -> None:
        """A unit that figures are to be in, or a word that goes with a measure ("ETH price")."""
        unit = cast("Unit", item.value)
        if self._made.counting:  # how many ETH
            self._made.waiting = [each for each in self._made.waiting if each[0] != "count"]
            self._made.asks.add("much")
        asked = self._before() in ("in", "count", "much", "most")
        if asked or (self._made.rank is not None and self._made.rank.by is None):
            self._made.unit = unit
        self._made.unit_said = unit

    def on_verb(self, item: Item) -> None:
        self._made.verb = cast("Measure", item.value)

    def on_each(self, item: Item) -> None:
        """Of each row ("per trade"), which is what figures are made of anyway."""
        self._each = cast("Entity", item.value)

    def on_except(self, _item: Item) -> None:
        self._negated = True

    on_no = on_except

    def on_by(self, _item: Item) -> None:
        if self._after() not in ("label", "filter", "condition", "named"):  # "paid by a buyer"
            self._made.by = True

    on_sorted = on_by

    def on_and(self, _item: Item) -> None:
        self._made.parted = True

    def on_refers(self, _item: Item) -> None:
        if not (self._made.targets or self._made.entity):  # else it is what this question has named
            self._made.asks.add("refers")

    def on_only(self, _item: Item) -> None:
        """It changes nothing."""

    def on_follow(self, _item: Item) -> None:
        """It changes nothing here."""

    def on_is(self, _item: Item) -> None:
        """From here on conditions are what a share is of."""
        if self._made.mode == "share" and (
            self._made.targets or self._made.entity or self._conditions
        ):
            self._part_from = len(self._conditions)

    on_having = on_is

    def on_in(self, _item: Item) -> None:
        """Of a share that is one of what follows, conditions up to here are the part's."""
        whole = self._after() in ("entity", "sums", "measure")
        if self._made.mode == "share" and self._conditions and whole and self._part_from is None:
            self._part_until = len(self._conditions)
            self._made.entity = None

    def on_order(self, item: Item) -> None:
        """Largest first: of groups, as rows are ordered by what makes them large anyway."""
        if not self._made.grouped:
            raise Unread(item.text)
        self._order = cast('Literal["max", "min"]', item.value)

    def on_ends(self, _item: Item) -> None:
        """From the first row to the last, which a change is; all else is of all rows anyway."""
        last = self._made.targets[-1] if self._made.targets else None
        if last is not None and not last.op and self._made.mode in ("", "difference"):
            self._made.targets[-1] = Target("change", last.thing)
            self._made.mode = ""

    # Rows.

    def on_condition(self, item: Item) -> None:
        self._where(cast("Condition", item.value))

    def _where(self, condition: Condition) -> None:
        """Add a condition, or that it does not hold."""
        if self._negated:
            self._negated = False
            test = Operation("IS NOT TRUE", (condition.test,))
            condition = Condition(f"not:{condition.key}", f"not {condition.says}", test)
        self._conditions.append(condition)

    def on_filter(self, item: Item) -> None:
        filter_ = cast("Filter", item.value)
        self._where(Condition(f"filter:{filter_.name}", filter_.name, Trusted(filter_.sql)))

    def on_named(self, item: Item) -> None:
        """The noun of "transaction 5", which is a condition; the question may have another."""
        entity = cast("Entity", item.value)
        if not entity.key and self._made.entity is None:
            self._made.entity = entity

    def on_label(self, item: Item) -> None:
        dimension, label = cast("Any", item.value)
        self._where(column_is(dimension.column, label, f"{dimension.name} is {label}"))
        after = self._after()
        if after not in ("entity", "measure", "sums", "metric") and (
            self._made.waiting or not self._made.entity
        ):
            noun = self._table.entity(self._table.default)
            if not noun.where:  # where it has some of its own a label is not a noun
                self._made.noun(noun, item.text)

    def on_entity(self, item: Item) -> None:
        entity = cast("Entity", item.value)
        self._conditions += [
            column_is(column, value, entity.several, of_entity=True)
            for column, value in entity.where.items()
        ]
        if (
            self._made.entity is None
            and self._made.focus is None
            and stem(item.text) != item.text.lower()
        ):
            self._made.asks.add("several")
        first = not (self._made.targets or self._made.waiting or self._made.entity)
        listed = first and self._after() == "having"  # "the trade with the highest price"
        if (self._focused or listed) and not entity.key:
            self._made.asks.add("rows")
        if self._focused and entity.key:
            self._made.focus = group_of(self._table, item)
            self._made.entity = self._made.entity or entity
        elif self._after() in ("measure", "sums", "metric") and not self._made.counting:
            self._made.entity = self._made.entity or entity
        else:
            self._made.noun(entity, item.text)

    # Figures.

    def on_measure(self, item: Item) -> None:
        self._made.make(cast("Measure", item.value), "")

    def on_sums(self, item: Item) -> None:
        self._made.make(cast("Measure", item.value), "sum")

    def on_metric(self, item: Item) -> None:
        metric = cast("Metric", item.value)
        waiting, self._made.waiting = self._made.waiting, []
        target = Target("metric", metric)
        if waiting and waiting[-1][0] not in ("max", "min"):
            raise Unread(waiting[-1][0])
        if waiting:
            self._made.rank = Rank(cast('Literal["max", "min"]', waiting[-1][0]), target)
        self._made.figure(target)

    # Around the place.

    def _measure_waits(self) -> bool:
        """A measure has just been said of which it is open what is to be made."""
        return (
            self._before() == "measure"
            and bool(self._made.targets)
            and not self._made.targets[-1].op
        )

    def _before(self) -> str:
        return self._items[self._place - 1].kind if self._place else ""

    def _after(self) -> str:
        place = self._place + 1
        return self._items[place].kind if place < len(self._items) else ""

    def on_grain(self, item: Item) -> None:
        group = group_of(self._table, item)
        if group is None:
            raise Unread(item.text)
        if self._made.counting:
            self._made.waiting = []
            self._made.asks.add("groups")
        elif self._made.focus is not None:
            raise Unread(item.text)
        elif stem(item.text) != item.text.lower():
            self._made.asks.add("several")
        self._made.focus = group

    def on_span(self, item: Item) -> None:
        """Which 3 seconds: so many of them, where nothing is grouped by them."""
        span = cast("Span", item.value)
        self._made.numbers.append(span.number)
        self.on_grain(Item("grain", span.unit, item.text))

    def on_dimension(self, item: Item) -> None:
        if self._after() == "of":  # "the side of the last trade": rows show it
            self._made.asks.add("list")
        elif self._before() == "label":  # "the sell side"
            return
        else:
            self.on_grain(item)
