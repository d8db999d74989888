"""The conditions in a question: from words to words, where each condition has become one item.

Theory of operation. The question's items are gone through from left to right. At each place the
rules below are tried in their order; the first that applies puts one item in the place of those it
has used up, which may be some of those to its left. What no rule uses is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast

from lbproto_chat.semantic.frames import Condition, Having, Target, column_is
from lbproto_chat.semantic.layer import Dimension, Entity, Measure, Table, Unit
from lbproto_chat.semantic.lexicon import Item
from lbproto_chat.semantic.moments import at_edge, moments_of, since, within
from lbproto_chat.semantic.sql import Call, Column, Node, Operation, Trusted, Value, all_of
from lbproto_chat.semantic.tokens import Clock, Moments, Number

__all__ = ["Conditions", "Tie"]

_COMPARISONS = frozenset({">", "<", ">=", "<=", "="})
_SAYS = {">": "over", "<": "under", ">=": "at least", "<=": "at most", "=": "exactly"}
_LINKS = frozenset({"of", "is", "in", "having", "any", "from"})
_TEXTS = {"starts": "starts_with", "ends": "ends_with", "contains": "contains"}


class Tie(Exception):
    """A number may be of several measures."""

    def __init__(self, measures: Sequence[Measure]) -> None:
        self.measures = measures


class Conditions:
    """Finds the conditions of one question.

    Args:
        table: what it is about.
        items: its words, less those that say nothing.
        assumed: the measure that a number is of which does not say so; none: `Tie` is raised.
    """

    def __init__(self, table: Table, items: Sequence[Item], assumed: Measure | None) -> None:
        self._table = table
        self._left = list(items)
        self._done: list[Item] = []
        self._assumed = assumed
        self.havings: list[Having] = []
        self.turned = ""
        self.beyond: list[str] = []
        """The times that it names which the table has no rows of."""

    def found(self) -> list[Item]:
        """The items, with one of the kind `condition` for each condition.

        Raises:
            Tie: see `assumed`.
        """
        rules: tuple[Callable[[], bool], ...] = (
            self._span_of_data,
            self._time,
            self._absence,
            self._text,
            self._range,
            self._comparison,
            self._or_more,
            self._quantity,
            self._number_of,
            self._id,
        )
        while self._left:
            if not any(rule() for rule in rules):
                self._done.append(self._left.pop(0))
        return self._done

    def _kinds(self, *kinds: str) -> bool:
        """Whether the next items are of these kinds; several for one place are parted by spaces."""
        if len(self._left) < len(kinds):
            return False
        return all(item.kind in kind.split() for item, kind in zip(self._left, kinds, strict=False))

    def _put(self, used: int, condition: Condition) -> bool:
        text = " ".join(each.text for each in self._left[:used])
        del self._left[:used]
        self._done.append(Item("condition", condition, text))
        return True

    # Times.

    def _span_of_data(self) -> bool:
        """Between the first and the last trade, which is all of them."""
        if not self._kinds("between from", "op", "entity and to"):
            return False
        used = 3 if self._left[2].kind == "entity" else 2
        if len(self._left) < used + 2:
            return False
        ends = (self._left[1].value, self._left[used + 1].value)
        if ends != ("first", "last") or self._left[used].kind not in ("and", "to"):
            return False
        noun = len(self._left) > used + 2 and self._left[used + 2].kind == "entity"
        del self._left[: used + 2 + noun]
        return True

    def _time(self) -> bool:
        time = self._table.time
        if time is None:
            return False
        if self._kinds("after before", "that"):
            self.turned = ">=" if self._left[0].kind == "after" else "<"
            del self._left[:2]
            return True
        first = self._moments(1)
        for kinds in (("between", "", "and to"), ("from", "", "to before after")):
            if len(self._left) > 3 and self._left[0].kind == kinds[0] and first:
                last = self._moments(3)
                if last and self._left[2].kind in kinds[2].split():
                    long = last.end - last.start >= timedelta(days=1)
                    end = last.end if long else last.start
                    self._note(first.start >= time.until or end <= time.start)
                    return self._put(4, within(time, first.start, end))
        if first and self._kinds("after from"):
            long = first.end - first.start >= timedelta(days=1)
            late = long and self._left[0].text.lower() == "after"
            start = first.end if late else first.start
            self._note(start >= time.until)
            return self._put(2, since(time, ">=", start))
        if first and self._kinds("before to"):
            self._note(first.start <= time.start)
            return self._put(2, since(time, "<", first.start))
        if self._kinds("grain", "after") and (begin := self._moments(2)):
            whole = self._moments_from(begin, str(self._left[0].value))
            self._note(begin.start >= time.until or whole <= time.start)
            return self._put(3, within(time, begin.start, whole))
        used = 0  # "in the minute of 09:21"
        while used < min(3, len(self._left)) and self._left[used].kind in ("in", "grain", "of"):
            used += 1
        there = self._moments(used, "in" in [each.kind for each in self._left[:used]])
        if there:
            self._note(there.start >= time.until or there.end <= time.start)
            return self._put(used + 1, within(time, there.start, there.end))
        return self._end_of_data(used)

    def _moments_from(self, begin: Moments, grain: str) -> datetime:
        """The end of the minute that begins then, or the hour."""
        length = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}.get(grain, 0)
        return max(begin.end, begin.start + timedelta(seconds=length))

    def _note(self, beyond: bool) -> None:
        if beyond:
            texts = [
                each.text for each in self._left if isinstance(each.value, Moments | Clock | Number)
            ]
            self.beyond += texts[:1]

    def _end_of_data(self, used: int) -> bool:
        """The first minute, or the last 30 seconds."""
        time = self._table.time
        if time is None or len(self._left) < used + 2:
            return False
        which, span = self._left[used : used + 2]
        if which.kind != "op" or which.value not in ("first", "last"):
            return False
        if span.kind not in ("span", "grain"):
            return False
        return self._put(used + 2, at_edge(time, str(which.value), span, self._table.name))

    def _moments(self, place: int, said_in: bool = False) -> Moments | None:
        if place >= len(self._left) or self._table.time is None:
            return None
        return moments_of(self._left[place].value, self._table.time, said_in=said_in)

    # Texts and nothing.

    def _absence(self) -> bool:
        wanted = self._kinds("having", "entity dimension")
        if not self._kinds("no", "entity dimension measure") and not wanted:
            return False
        thing = cast("Entity | Dimension | Measure", self._left[1].value)
        name = thing.name
        if isinstance(thing, Entity):
            if not thing.nullable or (wanted and not self._noun_before()):
                return False
            node: Node = Column(thing.key)
        elif isinstance(thing, Measure):
            node = Trusted(thing.sql)
        else:
            node = Column(thing.column)
        test = Operation("IS NOT NULL" if wanted else "IS NULL", (node,))
        return self._put(
            2, Condition(f"null:{name}", f"with{'' if wanted else 'out'} {name}", test)
        )

    def _noun_before(self) -> bool:
        return any(each.kind == "entity" for each in self._done)

    def _text(self) -> bool:
        if not self._kinds("starts ends contains") or len(self._left) < 2:
            return False
        column = next(
            (
                each.value.key
                for each in reversed(self._done)
                if isinstance(each.value, Entity) and each.value.key
            ),
            self._table.ids[0].column if self._table.ids else "",
        )
        text = self._left[1].text
        if not column:
            return False
        test = Call(_TEXTS[self._left[0].kind], (Column(column), Value(text)))
        says = f"{column} {self._left[0].text} {text}"
        return self._put(2, Condition(f"text:{column}", says, test))

    def _id(self) -> bool:
        if not self._kinds("id"):
            return False
        value = self._left[0].value
        assert isinstance(value, tuple)  # noqa: S101 - what the lexicon makes of an id
        return self._put(1, column_is(*value))

    def _number_of(self) -> bool:
        """Transaction 5: the number is the noun's; it is told from "5 transactions" by order."""
        if self._kinds("entity", "having", "number"):
            nxt = self._left[3].kind if len(self._left) > 3 else ""
            if nxt not in ("entity", "label", "unit"):
                del self._left[1]
        if not self._kinds("entity", "number"):
            return False
        entity, number = self._left[0].value, self._left[1].value
        if not isinstance(entity, Entity) or not entity.number or not isinstance(number, Number):
            return False
        if number.value != int(number.value):
            return False
        condition = column_is(entity.number, int(number.value), f"{entity.name} {number.value:f}")
        self._put(2, condition)
        self._done.insert(-1, Item("named", entity, ""))
        return True

    # Numbers.

    def _range(self) -> bool:
        start = self._kinds("between from", "number quantity", "and to", "number quantity")
        if not start:
            return False
        low, high = self._left[1], self._left[3]
        measure = self._measure(high if high.kind == "quantity" else low, 4)
        unit = _unit(high) or _unit(low)
        bounds = tuple(_scaled(_number(each), unit, measure) for each in (low, high))
        test = Operation(
            "AND",
            (
                Operation(">=", (Trusted(measure.sql), bounds[0])),
                Operation("<=", (Trusted(measure.sql), bounds[1])),
            ),
        )
        says = f"{measure.name} between {low.text} and {high.text}"
        return self._put(4, Condition(f"measure:{measure.name}", says, test, measure=measure))

    def _comparison(self) -> bool:
        used, hint = 1, None
        if self._kinds("comparative", "than", "number quantity"):
            operator, hint = cast("tuple[str, Measure]", self._left[0].value)
            used = 2
        elif self._kinds("> < >= <= =", "number quantity"):
            operator = self._left[0].kind
        elif self._kinds("having", "number", "entity"):
            operator = "="
        else:
            return False
        return self._compare(str(operator), used, hint)

    def _or_more(self) -> bool:
        if not self._kinds("number quantity", "orup ordown"):
            return False
        operator = ">=" if self._left[1].kind == "orup" else "<="
        del self._left[1]
        return self._compare(operator, 0, None)

    def _quantity(self) -> bool:
        if self._kinds("quantity"):
            return self._compare("=", 0, None)
        if (
            self._kinds("number")
            and _number(self._left[0]) == 0
            and self._kinds("number", "measure")
        ):
            self._left[0], self._left[1] = self._left[1], self._left[0]
            self._done.append(self._left.pop(0))
            return self._compare("=", 0, None)
        ordered = self._kinds("number", "super op most entity label")
        if self._kinds("number") and not ordered and self._measure_before(consume=False):
            return self._compare("=", 0, None)
        if self._kinds("number") and self._done and self._done[-1].text.lower() == "at":
            return self._compare("=", 0, None)
        if self._kinds("no", "number") and _number(self._left[1]) == 0:  # non-zero
            del self._left[0]
            if self._kinds("number", "measure"):
                self._left.insert(0, self._left.pop(1))
                self._done.append(self._left.pop(0))
            return self._compare(">", 0, None, counts=False)
        return False

    def _compare(
        self, operator: str, place: int, hint: Measure | None, *, counts: bool = True
    ) -> bool:
        number = self._left[place]
        after = self._left[place + 1 : place + 3]
        having = (
            self._counted(after) if counts and number.kind == "number" and hint is None else None
        )
        if having is not None:
            entity, where, length = having
            target, value = Target("count", entity), Value(int(_number(number)))
            says = f"{_SAYS[operator]} {number.text} {entity.several}"
            self.havings.append(Having(target, operator, value, says, where))
            del self._left[: place + 1 + length]
            self._done.append(Item("held", None, says))
            return True
        kinds = [each.kind for each in self._done]
        while kinds and kinds[-1] in _LINKS:
            kinds.pop()
        said = self._done[len(kinds) - 1].value if kinds else None
        summed = bool(kinds) and (
            kinds[-1] in ("sums", "label") or (isinstance(said, Entity) and bool(said.key))
        )
        measure = hint or self._measure(number, place + 1)
        if number.kind == "quantity":
            measure = self._measure(number, place + 1, hint)
        value = _scaled(_number(number), _unit(number), measure)
        condition = Condition(
            f"measure:{measure.name}",
            f"{measure.name} {_SAYS[operator]} {number.text}",
            Operation(operator, (Trusted(measure.sql), value)),
            measure=measure,
            operator=operator,
            value=value,
            summed=summed and measure.adds,
        )
        return self._put(place + 1, condition)

    def _counted(self, after: Sequence[Item]) -> tuple[Entity, Node | None, int] | None:
        """Of what a number is: "200 trades", "10 buys", "10 buy trades"."""
        table = self._table
        if after and after[0].kind == "entity" and isinstance(after[0].value, Entity):
            return after[0].value, rows_of(after[0].value), 1
        if after and after[0].kind == "label":
            dimension, label = cast("tuple[Dimension, str]", after[0].value)
            where = column_is(dimension.column, label).test
            if len(after) > 1 and isinstance(after[1].value, Entity):
                return after[1].value, where, 2
            return table.entity(table.default), where, 1
        return None

    def _measure(self, number: Item, after: int, hint: Measure | None = None) -> Measure:
        """The measure that a number is of.

        Raises:
            Tie: the question does not say.
        """
        unit = _unit(number)
        fitting = [
            each
            for each in self._table.measures
            if unit is None or each.unit in (unit.name, unit.of)
        ]
        before = self._measure_before(consume=True)
        behind = self._left[after : after + 2]
        if behind and behind[0].kind in _LINKS:
            behind = behind[1:]
        named = behind[0].value if behind and behind[0].kind == "measure" else None
        for each in (before, hint, named):
            if isinstance(each, Measure) and each in fitting:
                if each is named and before is None:
                    place = self._left.index(behind[0])
                    self._left[place] = Item("said", None, behind[0].text)
                return each
        if unit is not None and fitting:
            return fitting[0]
        if unit is None:
            value = float(_number(number))
            fitting = [
                each for each in fitting if each.between and _holds(each.between, value)
            ] or fitting
        if len(fitting) == 1:
            return fitting[0]
        if self._assumed is None or self._assumed not in fitting:
            raise Tie(fitting)
        return self._assumed

    def _measure_before(self, *, consume: bool) -> Measure | None:
        """The measure just said; used up, unless something is to be made of it besides."""
        place = len(self._done) - 1
        while place >= 0 and self._done[place].kind in _LINKS:
            place -= 1
        if place < 0 or self._done[place].kind not in ("measure", "sums"):
            return None
        measure = self._done[place].value
        assert isinstance(measure, Measure)  # noqa: S101 - so both kinds have it
        earlier = self._done[place - 1].kind if place else ""
        if (
            consume
            and self._done[place].kind == "measure"
            and earlier not in ("op", "super", "much")
        ):
            del self._done[place:]
        return measure


def rows_of(entity: Entity) -> Node | None:
    """What makes a row one of an entity."""
    return all_of(*(column_is(column, value).test for column, value in entity.where.items()))


def _number(item: Item) -> Decimal:
    value = cast("tuple[Number, Unit]", item.value)[0] if item.kind == "quantity" else item.value
    return value.value if isinstance(value, Number) else Decimal(0)


def _holds(bounds: tuple[float, float], value: float) -> bool:
    return bounds[0] <= value <= bounds[1]


def _unit(item: Item) -> Unit | None:
    return cast("tuple[Number, Unit]", item.value)[1] if item.kind == "quantity" else None


def _scaled(number: Decimal, unit: Unit | None, measure: Measure) -> Value:
    if unit is not None and unit.of and unit.of == measure.unit:
        number *= unit.factor
    return Value(int(number) if number == int(number) else number)
