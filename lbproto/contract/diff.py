"""From two contracts to what has changed between them: events, rooms, codes, limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec

from lbproto.contract.bounds import limit_changes
from lbproto.contract.changes import TO_CLIENT, TO_SERVER, Change, Direction, Severity
from lbproto.contract.model import Code, Contract, Emitted, Lifecycle, Price, Request, Room
from lbproto.contract.prose import price_of
from lbproto.contract.reading import NotAContract
from lbproto.contract.shapes import Shape, Shapes
from lbproto.contract.variance import Variance

__all__ = ["diff"]

T = TypeVar("T")
E = TypeVar("E", Request, Emitted)
Say = Callable[[Severity, str, str], Change]

_VARIES = float("inf")  # what depends on the request may be any price


def diff(old: Contract, new: Contract) -> list[Change]:
    """All changes, in the order of the old contract; what is new comes last of its kind.

    Args:
        old, new: as `read` from documents, whose dialect their schemas are in.

    Raises:
        NotAContract: a schema is not one that lbproto writes.
    """
    before, after = _shapes(old), _shapes(new)
    try:
        return [
            *_events(old.requests, new.requests, TO_SERVER, before, after, _served),
            *_events(old.events, new.events, TO_CLIENT, before, after, _sent),
            *_rooms(old.rooms, new.rooms),
            *_codes(old.codes, new.codes),
            *limit_changes(old.limits, new.limits),
        ]
    except RecursionError:
        raise NotAContract("its schemas are nested too deeply") from None


def _shapes(contract: Contract) -> Shapes:
    try:
        return msgspec.convert(contract.schemas, dict[str, Shape])
    except (msgspec.ValidationError, RecursionError) as error:
        raise NotAContract(f"a schema is not one that lbproto writes: {error}") from None


# Events, both ways


def _events(
    old: Iterable[E],
    new: Iterable[E],
    direction: Direction,
    before: Shapes,
    after: Shapes,
    beside: Callable[[E, E], Iterator[Change]],
) -> Iterator[Change]:
    pairs, gone, come = _matched(old, new, lambda each: each.event)
    what = "request" if direction == TO_SERVER else "event"
    for one, other in pairs:
        variance = Variance(before, after, one.event, direction)
        yield from variance.changes(one.schema, other.schema)
        yield from beside(one, other)
    for each in gone:
        yield _change("breaking", f"{what}-removed", each.event, f"the {what} is gone", direction)
    for each in come:
        yield _change("compatible", f"{what}-added", each.event, f"a new {what}", direction)


def _sent(old: Emitted, new: Emitted) -> Iterator[Change]:
    if old.overflow != new.overflow:
        # One that was never lost may be now: who counts them is wrong.
        severity: Severity = "breaking" if old.overflow == "disconnect" else "notice"
        if new.overflow == "disconnect":
            severity = "compatible"
        message = f"overflow: {old.overflow}, now {new.overflow}"
        yield _change(severity, "overflow-changed", old.event, message, TO_CLIENT)


def _served(old: Request, new: Request) -> Iterator[Change]:
    def change(severity: Severity, kind: str, message: str) -> Change:
        return _change(severity, kind, old.event, message, TO_SERVER)

    yield from _answers(old, new, change)
    if old.refused != new.refused:
        message = f"it is refused by {new.refused}, no longer by {old.refused}"
        yield change("breaking", "refusal-changed", message)
    if old.price != new.price:
        is_raised = _amount(new.price) > _amount(old.price)
        message = f"it costs {price_of(new.price)}, before {price_of(old.price)}"
        kind = "price-raised" if is_raised else "price-lowered"
        yield change("notice" if is_raised else "compatible", kind, message)
    if old.weight != new.weight:
        message = f"it counts as {new.weight} requests, before as {old.weight}"
        heavier = new.weight > old.weight
        yield change("notice" if heavier else "compatible", "weight-changed", message)
    if old.counted != new.counted:
        message = f"it counts against the {new.counted}'s limits, before the {old.counted}'s"
        yield change("notice", "counted-changed", message)
    if old.repeatable != new.repeatable:
        how = "is served again" if new.repeatable else "joins the first, by its requestId"
        yield change("notice", "repeats-changed", f"a repeat {how}")
    yield from _bound("timeout", old.timeout, new.timeout, change)
    yield from _jobs(old.job, new.job, change)


def _answers(old: Request, new: Request, change: Say) -> Iterator[Change]:
    for name in old.answers:
        if name not in new.answers:
            yield change("breaking", "answer-removed", f"it is no longer answered by {name}")
    for name in new.answers:
        if name not in old.answers:
            severity: Severity = "breaking" if old.answers else "notice"
            yield change(severity, "answer-added", f"it may be answered by {name}")


def _jobs(old: Lifecycle | None, new: Lifecycle | None, change: Say) -> Iterator[Change]:
    if old is None or new is None:
        if old is not new:
            message = "it is a job now" if old is None else "it is no longer a job"
            yield change("breaking", "job-changed", message)
        return
    for stage in ("start", "progress", "output", "before_terminal", "success", "failure", "id"):
        before, after = getattr(old, stage), getattr(new, stage)
        if before != after:
            shown = stage.replace("_", " ")
            severity: Severity = "compatible" if before is None else "breaking"
            message = f"its {shown}: {before or 'none'}, now {after or 'none'}"
            yield change(severity, "stage-changed", message)
    if old.closes != new.closes:
        how = "comes" if new.closes else "no longer comes"
        severity = "compatible" if new.closes else "breaking"
        yield change(severity, "stage-changed", f"a last output {how}, which says it was the last")
    if old.group != new.group:
        message = f"its group: {old.group or 'none'}, now {new.group or 'none'}"
        yield change("breaking" if old.group else "notice", "group-changed", message)
    for bound in ("waiting", "timeout"):
        yield from _bound(bound, getattr(old, bound), getattr(new, bound), change)


def _bound(name: str, old: float | None, new: float | None, change: Say) -> Iterator[Change]:
    if old != new:
        is_tighter = _or_more(new) < _or_more(old)
        message = f"{name}: {_or_none(old)}, now {_or_none(new)}"
        yield change("notice" if is_tighter else "compatible", f"{name}-changed", message)


# Rooms and codes


def _rooms(old: Iterable[Room], new: Iterable[Room]) -> Iterator[Change]:
    pairs, gone, come = _matched(old, new, lambda each: each.pattern)
    for one, other in pairs:
        if one.first != other.first:
            message = f"its first message: {_names(one.first)}, now {_names(other.first)}"
            severity: Severity = "breaking" if one.first else "notice"
            yield _change(severity, "first-changed", one.pattern, message)
        if one.refused != other.refused:
            message = f"it is refused by {other.refused}, no longer by {one.refused}"
            yield _change("breaking", "refusal-changed", one.pattern, message)
        if one.announces != other.announces:
            message = "it tells who joins and leaves" if other.announces else "it no longer tells"
            severity = "compatible" if other.announces else "breaking"
            yield _change(severity, "announcing-changed", one.pattern, message)
        if one.automatic != other.automatic:
            how = "joins it by itself" if other.automatic else "has to subscribe to it"
            severity = "notice" if other.automatic else "breaking"
            message = f"a new session {how} now"
            yield _change(severity, "automatic-changed", one.pattern, message)
    for each in gone:
        yield _change("breaking", "room-removed", each.pattern, "the rooms are gone")
    for each in come:
        yield _change("compatible", "room-added", each.pattern, "new rooms")


def _codes(old: dict[str, Code], new: dict[str, Code]) -> Iterator[Change]:
    for name, code in old.items():
        if name not in new:
            yield _change("breaking", "code-removed", name, "the error code is gone")
        elif new[name].retryable != code.retryable:
            how = "may be tried again" if new[name].retryable else "is not to be tried again"
            message = f"what fails by it {how} now"
            yield _change("breaking", "retryable-changed", name, message)
    for name in (name for name in new if name not in old):
        yield _change("notice", "code-added", name, "a new error code")


def _matched(
    old: Iterable[T], new: Iterable[T], name: Callable[[T], str]
) -> tuple[list[tuple[T, T]], list[T], list[T]]:
    """Those in both by name, those that are gone, and those that are new."""
    before, after = ({name(each): each for each in some} for some in (old, new))
    return (
        [(each, after[key]) for key, each in before.items() if key in after],
        [each for key, each in before.items() if key not in after],
        [each for key, each in after.items() if key not in before],
    )


def _change(
    severity: Severity, kind: str, about: str, message: str, direction: Direction | None = None
) -> Change:
    return Change(severity=severity, kind=kind, about=about, direction=direction, message=message)


def _amount(price: Price | None) -> float:
    return _VARIES if price == "varies" else float(price or 0)


def _or_more(bound: float | None) -> float:
    return float("inf") if bound is None else bound


def _or_none(bound: float | None) -> str:
    return "none" if bound is None else f"{bound:g}"


def _names(events: tuple[str, ...]) -> str:
    return " or ".join(events) or "none"
