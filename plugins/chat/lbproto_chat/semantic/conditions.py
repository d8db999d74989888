"""The conditions in a question: from words to words, where each condition has become one item.

Theory of operation. The question's items are gone through from left to right. At each place the
rules below are tried in their order; the first that applies puts one item in the place of those it
has used up, which may be some of those to its left. What no rule uses is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import cast

from lbproto_chat.semantic.frames import Condition, Having, Target, column_is
from lbproto_chat.semantic.layer import Dimension, Entity, Measure, Table, Unit
from lbproto_chat.semantic.lexicon import Item
from lbproto_chat.semantic.sql import (
    Call,
    Column,
    Node,
    Operation,
    Scalar,
    Select,
    Trusted,
    Value,
    all_of,
)
from lbproto_chat.semantic.times import Times
from lbproto_chat.semantic.tokens import Number
from lbproto_chat.semantic.unread import Tie, Unread
from lbproto_chat.semantic.walk import Walk

__all__ = ["Conditions"]

_SAYS = {">": "over", "<": "under", ">=": "at least", "<=": "at most", "=": "exactly"}
_LINKS = frozenset({"of", "is", "in", "having", "any", "from"})
_ALL = {"avg": "average", "median": "median"}
_TEXTS = {"starts": "starts_with", "ends": "ends_with", "contains": "contains"}


class Conditions:
    """Finds the conditions of one question.

    Args:
        table: what it is about.
        items: its words, less those that say nothing.
        assumed: the measure that a number is of which does not say so; none: `Tie` is raised.

    Attributes:
        times: the rules for times, and what they have noticed.
        havings: the conditions on groups.
    """

    def __init__(self, table: Table, items: Sequence[Item], assumed: Measure | None) -> None:
        self._table = table
        self._walk = Walk(items)
        self.times = Times(table, self._walk)
        self._assumed = assumed
        self.havings: list[Having] = []

    def found(self) -> list[Item]:
        """The items, with one of the kind `condition` for each condition.

        Raises:
            Tie: see `assumed`.
            Unread: a noun contradicts the word before it.
        """
        rules: tuple[Callable[[], bool], ...] = (
            self.times.data_span,
            self.times.time,
            self._absence,
            self._text,
            self._range,
            self._against_all,
            self._extreme,
            self._comparison,
            self._or_more,
            self._quantity,
            self._number_of,
            self._id,
        )
        while self._walk.left:
            if not any(rule() for rule in rules):
                self._walk.done.append(self._walk.left.pop(0))
        return self._walk.done

    # Texts and nothing.

    def _absence(self) -> bool:
        wanted = self._walk.comes("having", "entity dimension")
        if not self._walk.comes("no", "entity dimension measure") and not wanted:
            return False
        thing = cast("Entity | Dimension | Measure", self._walk.left[1].value)
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
        return self._walk.put(
            2, Condition(f"null:{name}", f"with{'' if wanted else 'out'} {name}", test)
        )

    def _noun_before(self) -> bool:
        return any(each.kind == "entity" for each in self._walk.done)

    def _text(self) -> bool:
        if not self._walk.comes("starts ends contains") or len(self._walk.left) < 2:
            return False
        column = next(
            (
                each.value.key
                for each in reversed(self._walk.done)
                if isinstance(each.value, Entity) and each.value.key
            ),
            self._table.ids[0].column if self._table.ids else "",
        )
        text = self._walk.left[1].text
        if not column:
            return False
        test = Call(_TEXTS[self._walk.left[0].kind], (Column(column), Value(text)))
        says = f"{column} {self._walk.left[0].text} {text}"
        return self._walk.put(2, Condition(f"text:{column}", says, test))

    def _id(self) -> bool:
        if not self._walk.comes("id"):
            return False
        column, value = cast("tuple[str, str]", self._walk.left[0].value)
        return self._walk.put(1, column_is(column, value))

    def _number_of(self) -> bool:
        """Transaction 5: the number is the noun's; it is told from "5 transactions" by order."""
        if self._walk.comes("entity", "having", "number"):
            nxt = self._walk.left[3].kind if len(self._walk.left) > 3 else ""
            if nxt not in ("entity", "label", "unit", "measure", "sums"):
                del self._walk.left[1]
        if not self._walk.comes("entity", "number"):
            return False
        entity, number = self._walk.left[0].value, self._walk.left[1].value
        if not isinstance(entity, Entity) or not entity.number or not isinstance(number, Number):
            return False
        if number.value != int(number.value):
            return False
        condition = column_is(entity.number, int(number.value), f"{entity.name} {number.value:f}")
        self._walk.put(2, condition)
        self._walk.done.insert(-1, Item("named", entity, ""))
        return True

    # Numbers.

    def _range(self) -> bool:
        start = self._walk.comes("between from", "number quantity", "and to", "number quantity")
        if not start:
            return False
        low, high = self._walk.left[1], self._walk.left[3]
        measure = self._measure(high if high.kind == "quantity" else low, 4)
        unit = _unit(high) or _unit(low)
        bounds = tuple(_scaled(_number(each), unit, measure) for each in (low, high))
        summed = self._summed() and measure.adds
        says = f"{measure.name} between {low.text} and {high.text}"
        for operator, bound, used in ((">=", bounds[0], 0), ("<=", bounds[1], 4)):
            self._walk.put(used, _compared(measure, operator, bound, says, summed=summed))
        return True

    def _against_all(self) -> bool:
        """Over the average: of all rows, whatever else the question says."""
        used = 2 if self._walk.comes("comparative", "than", "op") else 1
        if used == 1 and not self._walk.comes("> < >= <=", "op"):
            return False
        op = str(self._walk.left[used].value)
        if op not in _ALL or any(each.kind in ("op", "label") for each in self._walk.done):
            return False
        operator, hint = self._walk.left[0].kind, None
        if used == 2:
            operator, hint = cast("tuple[str, Measure]", self._walk.left[0].value)
        measure = self._measure_before(consume=True) or hint
        if len(self._walk.left) > used + 1 and self._walk.left[used + 1].kind == "measure":
            measure = cast("Measure", self._walk.left[used + 1].value)
            used += 1
        if measure is None:
            return False
        says = f"{measure.name} {_SAYS[operator]} the {_ALL[op]}"
        return self._walk.put(used + 1, self._of_all(measure, operator, op, says))

    def _extreme(self) -> bool:
        """How many had the highest price."""
        if not self._walk.comes("having in", "super op", "measure"):
            return False
        value = self._walk.left[1].value
        op = value[0] if isinstance(value, tuple) else value
        if op not in ("max", "min") or all(each.kind != "count" for each in self._walk.done):
            return False
        measure = cast("Measure", self._walk.left[2].value)
        says = f"the {self._walk.left[1].text} {measure.name}"
        return self._walk.put(3, self._of_all(measure, "=", op, says))

    def _of_all(self, measure: Measure, operator: str, op: str, says: str) -> Condition:
        """A measure against a figure of all rows that it is of."""
        node = Trusted(measure.sql)
        whole = Scalar(Select((("", Call(op, (node,))),), self._table.name, rows_of(measure)))
        test = Operation(operator, (node, whole))
        return Condition(f"measure:{measure.name}", says, test)

    def _comparison(self) -> bool:
        used, hint = 1, None
        if self._walk.comes("comparative", "than", "number quantity"):
            operator, hint = cast("tuple[str, Measure]", self._walk.left[0].value)
            used = 2
        elif self._walk.comes("> < >= <= =", "number quantity"):
            operator = self._walk.left[0].kind
        elif self._walk.comes("having only", "number", "entity"):
            operator = "="
        else:
            return False
        return self._compare(str(operator), used, hint)

    def _or_more(self) -> bool:
        if not self._walk.comes("number quantity", "orup ordown"):
            return False
        operator = ">=" if self._walk.left[1].kind == "orup" else "<="
        del self._walk.left[1]
        return self._compare(operator, 0, None)

    def _quantity(self) -> bool:
        if self._walk.comes("quantity"):
            return self._compare("=", 0, None)
        if (
            self._walk.comes("number")
            and _number(self._walk.left[0]) == 0
            and self._walk.comes("number", "measure")
        ):
            self._walk.left[0], self._walk.left[1] = self._walk.left[1], self._walk.left[0]
            self._walk.done.append(self._walk.left.pop(0))
            return self._compare("=", 0, None)
        ordered = self._walk.comes("number", "super op most entity label")
        if self._walk.comes("number") and not ordered and self._measure_before(consume=False):
            return self._compare("=", 0, None)
        if (
            self._walk.comes("number")
            and self._walk.done
            and self._walk.done[-1].text.lower() == "at"
        ):
            return self._compare("=", 0, None)
        if self._walk.comes("no", "number") and _number(self._walk.left[1]) == 0:  # non-zero
            del self._walk.left[0]
            if self._walk.comes("number", "measure"):
                self._walk.left.insert(0, self._walk.left.pop(1))
                self._walk.done.append(self._walk.left.pop(0))
            return self._compare(">", 0, None, counts=False)
        return False

    def _compare(
        self, operator: str, place: int, hint: Measure | None, *, counts: bool = True
    ) -> bool:
        number = self._walk.left[place]
        after = self._walk.left[place + 1 : place + 3]
        having = (
            self._counted(after) if counts and number.kind == "number" and hint is None else None
        )
        if having is not None:
            entity, label, where, length = having
            target, value = Target("count", entity), Value(int(_number(number)))
            noun = entity.name if value.value == 1 else entity.several
            says = " ".join(filter(None, (_SAYS[operator], number.text, label, noun)))
            self.havings.append(Having(target, operator, value, says, where))
            del self._walk.left[: place + 1 + length]
            self._walk.done.append(Item("held", None, says))
            return True
        summed = self._summed()
        measure = hint or self._measure(number, place + 1)
        if number.kind == "quantity":
            measure = self._measure(number, place + 1, hint)
        value = _scaled(_number(number), _unit(number), measure)
        says = f"{measure.name} {_SAYS[operator]} {number.text}"
        condition = _compared(measure, operator, value, says, summed=summed and measure.adds)
        return self._walk.put(place + 1, condition)

    def _summed(self) -> bool:
        """What was just said has many rows, or means a sum."""
        said = [each for each in self._walk.done if each.kind not in _LINKS][-1:]
        return any(
            each.kind in ("sums", "label")
            or (isinstance(each.value, Entity) and bool(each.value.key))
            for each in said
        )

    def _counted(self, after: Sequence[Item]) -> tuple[Entity, str, Node | None, int] | None:
        """Of what a number is ("200 trades", "10 buys", "10 buy trades"), in how many items."""
        table = self._table
        if after and after[0].kind == "entity" and isinstance(after[0].value, Entity):
            return after[0].value, "", rows_of(after[0].value), 1
        if after and after[0].kind == "label":
            dimension, label = cast("tuple[Dimension, str]", after[0].value)
            noun = after[1].value if len(after) > 1 else None
            entity = noun if isinstance(noun, Entity) else table.entity(table.default)
            if entity.where.get(dimension.column, label) != label:  # spent outputs
                raise Unread(after[0].text)
            tests = dict.fromkeys((column_is(dimension.column, label).test, rows_of(entity)))
            return entity, label, all_of(*tests), 2 if entity is noun else 1
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
        behind = self._walk.left[after : after + 2]
        if behind and behind[0].kind in _LINKS:
            behind = behind[1:]
        named = behind[0].value if behind and behind[0].kind == "measure" else None
        for each in (before, hint, named):
            if isinstance(each, Measure) and each in fitting:
                if each is named and before is None:
                    place = self._walk.left.index(behind[0])
                    self._walk.left[place] = Item("said", None, behind[0].text)
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
        place = len(self._walk.done) - 1
        while place >= 0 and self._walk.done[place].kind in _LINKS:
            place -= 1
        if place < 0 or self._walk.done[place].kind not in ("measure", "sums"):
            return None
        measure = cast("Measure", self._walk.done[place].value)
        earlier = self._walk.done[place - 1].kind if place else ""
        if (
            consume
            and self._walk.done[place].kind == "measure"
            and earlier not in ("op", "super", "much")
        ):
            del self._walk.done[place:]
        return measure


def _compared(
    measure: Measure, operator: str, value: Value, says: str, *, summed: bool
) -> Condition:
    return Condition(
        f"measure:{measure.name}",
        says,
        Operation(operator, (Trusted(measure.sql), value)),
        measure=measure,
        operator=operator,
        value=value,
        summed=summed,
    )


def rows_of(thing: Entity | Measure) -> Node | None:
    """What makes a row one of an entity, or one that a measure is of."""
    return all_of(*(column_is(column, value).test for column, value in thing.where.items()))


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
