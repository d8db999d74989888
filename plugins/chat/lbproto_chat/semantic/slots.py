"""The first steps of reading a question: numbers get their units, groups are found."""

from __future__ import annotations

from collections.abc import Sequence

from lbproto_chat.semantic.frames import Group
from lbproto_chat.semantic.layer import Dimension, Entity, Table
from lbproto_chat.semantic.lexicon import Item
from lbproto_chat.semantic.sql import Span
from lbproto_chat.semantic.tokens import Nth, Number

__all__ = ["group_of", "groups", "slots"]

_SILENT = frozenset({"filler", "context"})


def slots(items: Sequence[Item]) -> list[Item]:
    """The items that say something, with numbers and what they count as one."""
    items = [each for each in items if each.kind not in _SILENT]
    found: list[Item] = []
    place = 0
    while place < len(items):
        item, after = items[place], items[place + 1] if place + 1 < len(items) else None
        kinds = (item.kind, after.kind if after else "")
        text = f"{item.text} {after.text if after else ''}"
        if after and kinds == ("number", "unit"):
            found.append(Item("quantity", (item.value, after.value), text))
        elif after and kinds == ("unit", "number") and item.text in "$€£":
            found.append(Item("quantity", (after.value, item.value), text))
        elif after and kinds == ("number", "grain") and (span := _span(item, after)):
            found.append(Item("span", span, text))
        elif item.text.lower() == "second" and _orders(after, found):
            found.append(Item("nth", Nth(2), item.text))
            place -= 1
        elif _is_silent(item, kinds[1]):
            place -= 1
        else:
            found.append(item)
            place -= 1
        place += 2
    return found


def _is_silent(item: Item, after: str) -> bool:
    """It says nothing before what comes after it."""
    if item.kind == "any":  # an article, but for "in a minute"
        return after not in ("grain", "entity", "dimension")
    return item.kind == "numbered" and after in ("number", "of")  # "trade id 7"


def _orders(after: Item | None, before: Sequence[Item]) -> bool:
    """A second that orders ("the second largest"), and is not a time ("per second")."""
    if after is None or (before and before[-1].kind in ("per", "by", "any")):
        return False
    return after.kind in ("super", "most") or after.value in ("max", "min")


def _span(number: Item, grain: Item) -> Span | None:
    value = number.value.value if isinstance(number.value, Number) else 0
    if value != int(value) or not 1 <= value <= 1_000_000:
        return None
    return Span(int(value), str(grain.value))


def group_of(table: Table, item: Item) -> Group | None:
    """What rows are grouped by, if that is what the item can name."""
    if item.kind == "dimension" and isinstance(item.value, Dimension):
        return Group(item.value.name, item.value.column)
    if item.kind == "entity" and isinstance(item.value, Entity) and item.value.key:
        return Group(item.value.name, item.value.key, entity=item.value)
    if table.time is not None and item.kind == "grain":
        return Group(str(item.value), table.time.column, Span(1, str(item.value)))
    if table.time is not None and item.kind == "span" and isinstance(item.value, Span):
        return Group(item.text, table.time.column, item.value)
    return None


def groups(table: Table, items: Sequence[Item]) -> tuple[list[Item], list[Group], list[Group]]:
    """What is left of the items without the groups; the groups; those that are gone over."""
    left: list[Item] = []
    found: list[Group] = []
    among: list[Group] = []
    place = 0
    while place < len(items):
        item = items[place]
        after = items[place + 1] if place + 1 < len(items) else None
        group = group_of(table, after) if after else None
        repeated = items[place + 2] if place + 2 < len(items) else None
        if (
            after
            and repeated
            and (item.kind, after.kind) == ("grain", "by")
            and item.value == repeated.value
        ):  # minute by minute
            found += _known(group_of(table, item))
            place += 3
        elif item.kind in ("per", "by") and after and group:
            place, some = _list(table, items, place + 1)
            found += some
        elif item.kind == "per" and after and isinstance(after.value, Entity):  # one row each
            left.append(Item("each", after.value, after.text))
            place += 2
        elif item.kind == "any" and after and group and (left or item.text.lower() != "a"):
            among.append(group)
            place += 2
        elif item.kind == "grain" and item.text.lower().endswith("ly"):  # hourly
            found += _known(group_of(table, item))
            place += 1
        elif item.kind == "span" and after and after.kind == "bucket":
            found += _known(group_of(table, item))
            place += 2
        else:
            if item.kind != "any":
                left.append(item)
            place += 1
    return left, found, among


def _known(group: Group | None) -> list[Group]:
    return [] if group is None else [group]


def _list(table: Table, items: Sequence[Item], place: int) -> tuple[int, list[Group]]:
    """Groups one after the other, from `place` on: "minute and side", "side, per minute"."""
    found: list[Group] = []
    while place < len(items):
        step = 1 if found and items[place].kind in ("and", "per", "by") else 0
        item = items[place + step] if place + step < len(items) else None
        group = group_of(table, item) if item else None
        if group is None:
            break
        found.append(group)
        place += step + 1
        if place < len(items) and items[place].kind == "bucket":
            place += 1
    return place, found
