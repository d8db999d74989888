"""Figures set against each other: shares, ratios, differences."""

from __future__ import annotations

from lbproto_chat.semantic.figures import Figure, figure, node_of
from lbproto_chat.semantic.frames import Condition, Frame, Target
from lbproto_chat.semantic.layer import Entity, Measure
from lbproto_chat.semantic.sql import Call, Node, Operation, Value, all_of
from lbproto_chat.semantic.unread import Unread

__all__ = ["contrast", "sides_of"]

Contrast = tuple[Figure, Node, tuple[Condition, ...], str]


def sides_of(frame: Frame) -> tuple[Condition, ...]:
    """The conditions that ask for different values of one column, in the order they are said.

    Raises:
        Unread: two columns have such, or a noun contradicts a word beside it ("spent outputs").
    """
    columns: dict[str, dict[object, Condition]] = {}
    for each in frame.conditions:
        if each.equal is not None:
            columns.setdefault(each.key, {}).setdefault(each.equal[1], each)
    several = [tuple(each.values()) for each in columns.values() if len(each) > 1]
    if not several:
        return ()
    key = several[0][0].key
    origins = {each.of_entity for each in frame.conditions if each.key == key}
    if len(several) > 1 or len(origins) > 1:
        raise Unread(*(each.says for each in several[0]))
    return several[0]


def contrast(frame: Frame, entity: Entity) -> Contrast:
    """The figure, its expression, the conditions on all rows, and what it is in words.

    Raises:
        Unread: it does not say what is set against what.
    """
    target = frame.targets[0] if frame.targets else Target("count", entity)
    if frame.mode == "share":
        return _share(frame, target)
    sides = sides_of(frame)
    table, unit = frame.table, frame.unit
    if len(sides) == 2 and _same(frame.targets):
        nodes = [node_of(table, target, each.test, unit) for each in sides]
        names = [each.says for each in sides]
        rows = tuple(each for each in frame.conditions if each.key != sides[0].key)
        name = figure(target, unit).name
        subject = f"{name}, {names[0]} against {names[1]}"
    elif not sides and len(frame.targets) == 2:
        nodes = [node_of(table, each, unit=unit) for each in frame.targets]
        rows = frame.conditions
        subject = " against ".join(figure(each, unit).name for each in frame.targets)
    else:
        raise Unread(frame.mode)
    unit_name = figure(target, unit).unit
    if frame.mode == "ratio":
        return Figure("ratio"), Operation("/", tuple(nodes)), rows, f"ratio: {subject}"
    return (
        Figure("difference", unit_name),
        Operation("-", tuple(nodes)),
        rows,
        f"difference: {subject}",
    )


def _same(targets: tuple[Target, ...]) -> bool:
    return all(each == targets[0] for each in targets)


def _share(frame: Frame, target: Target) -> Contrast:
    if not _same(frame.targets):
        raise Unread("share")
    if isinstance(target.thing, Entity) and target.thing.key:
        raise Unread("share")
    part = frame.part or tuple(each for each in frame.conditions if not each.of_entity)
    part = part or frame.conditions
    usual = target.thing.where.items() if isinstance(target.thing, Measure) else ()
    narrower = tuple(each for each in part if each.equal not in usual)
    part = narrower or part
    rows = tuple(each for each in frame.conditions if each not in part)
    test = all_of(*dict.fromkeys(each.test for each in part))
    if test is None and not frame.groups:
        raise Unread("share")
    some = node_of(frame.table, target, test)
    whole = node_of(frame.table, target)
    if test is None:  # of each group, what it is of all of them
        whole = Operation("OVER ()", (Call("sum", (whole,)),))
    node = Operation("/", (Operation("*", (Value(100), some)), whole))
    name = f"share of the {figure(target).name}"
    says = " and ".join(each.says for each in part)
    return Figure("share", "%", "percent"), node, rows, f"{name}: {says}" if says else name
