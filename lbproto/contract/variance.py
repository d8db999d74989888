"""How the schema of one payload has changed, and what that means by the way it goes.

Theory of operation. A client was written against the old schema. What it sends has to be accepted
by the new one: there a type may be widened, never narrowed, and no field may become required. What
it receives has to be what it expects: there a type may be narrowed, never widened, and a field that
always came may not be left out. A field that is gone breaks it either way: what it asks for is
ignored, what it shows is not there.

    new against old    client → server    server → client
    narrower           breaking           compatible
    wider              compatible         breaking

Bounds of what is received (a text's length, a number's maximum) only bring a notice where they are
widened: few clients rely on them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from msgspec import UNSET

from lbproto.contract.changes import TO_SERVER, Change, Direction, Severity
from lbproto.contract.shapes import ANYTHING, Branch, Shape, Shapes, branches, whole
from lbproto.errors import ErrorCode

__all__ = ["Variance"]

_LOWER = ("minimum", "exclusive_minimum", "min_length", "min_items", "min_properties")
_UPPER = ("maximum", "exclusive_maximum", "max_length", "max_items", "max_properties")
_EXACT = ("pattern", "format", "multiple_of", "unique_items", "content_encoding")

_CODES = ErrorCode.__name__  # what has become of codes is told once, not for each error event
_REQUEST_ID = "requestId"  # told by whether the request is repeatable


class Variance:
    """Compares the schemas of one event.

    Args:
        old, new: all schemas of the two contracts, by name.
        about: the event.
        direction: which way it goes.
    """

    def __init__(self, old: Shapes, new: Shapes, about: str, direction: Direction) -> None:
        self._old = old
        self._new = new
        self._about = about
        self._direction = direction
        self._is_sent = direction == TO_SERVER
        self._passed: set[tuple[str, str]] = set()

    def changes(self, old: str, new: str) -> Iterator[Change]:
        """What has changed from the schema of this name to that one."""
        return self._compare(Shape(ref=f"#/{old}"), Shape(ref=f"#/{new}"), "$")

    def _compare(self, old: Shape | bool, new: Shape | bool, path: str) -> Iterator[Change]:
        before, after = branches(old, self._old), branches(new, self._new)
        lost = [kind for kind in before if not _covers(kind, after)]
        gained = [kind for kind in after if not _covers(kind, before)]
        for kind in lost:
            yield self._narrower("type-narrowed", path, f"it is no longer {_a(kind)}")
        for kind in gained:
            yield self._wider("type-widened", path, f"it may be {_a(kind)}, too")
        for kind, some in before.items():
            others = after.get(kind) or (after.get("number", []) if kind == "integer" else [])
            if kind == "number" and not others:
                others = after.get("integer", [])
            yield from self._pair(kind, some, others, path)

    def _pair(self, kind: str, old: list[Branch], new: list[Branch], path: str) -> Iterator[Change]:
        """Compare alternatives of one kind: those of one name, then whatever is left."""
        if not new:
            return
        named = {branch.name: branch for branch in new if branch.name}
        pairs = [(branch, named.pop(branch.name)) for branch in old if branch.name in named]
        left = [branch for branch in old if all(branch is not done for done, _ in pairs)]
        come = [branch for branch in new if all(branch is not done for _, done in pairs)]
        while left and come:
            pairs.append((left.pop(0), come.pop(0)))
        for before, after in pairs:
            if before.name and after.name:
                if (before.name, after.name) in self._passed or before.name == _CODES:
                    continue
                self._passed.add((before.name, after.name))
            yield from self._branch(kind, before.shape, after.shape, path)
        for branch in left:
            yield self._narrower("type-narrowed", path, f"it is no longer {_named(branch, kind)}")
        for branch in come:
            yield self._wider("type-widened", path, f"it may be {_named(branch, kind)}, too")

    def _branch(self, kind: str, old: Shape, new: Shape, path: str) -> Iterator[Change]:
        yield from self._values(old.enum, new.enum, path)
        yield from self._bounds(old, new, path)
        if kind == "object":
            yield from self._fields(old, new, path)
            yield from self._others(old, new, path)
        elif kind == "array":
            yield from self._items(old, new, path)

    def _values(self, old: list[Any] | None, new: list[Any] | None, path: str) -> Iterator[Change]:
        if old is None and new is None:
            return
        if old is None:
            yield self._narrower("values-listed", path, f"it is one of {_shown(new or [])} now")
        elif new is None:
            yield self._wider("values-unlisted", path, f"it is not only {_shown(old)} any more")
        else:
            for value in old:
                if value not in new:
                    message = f"{_shown([value])} is gone"
                    yield self._narrower("value-removed", path, message)
            for value in new:
                if value not in old:
                    yield self._wider("value-added", path, f"it may be {_shown([value])}, too")

    def _bounds(self, old: Shape, new: Shape, path: str) -> Iterator[Change]:
        for word in (*_LOWER, *_UPPER, *_EXACT):
            before, after = getattr(old, word), getattr(new, word)
            if before == after:
                continue
            if after is None:
                is_tighter = False
            elif before is None or word in _EXACT:
                is_tighter = True
            else:
                is_tighter = (after > before) == (word in _LOWER)
            shown = word.replace("_", " ")
            message = f"{shown}: {_bound(before)}, now {_bound(after)}"
            if self._is_sent and is_tighter:
                yield self._change("breaking", "bound-tightened", path, message)
            elif not self._is_sent and (not is_tighter or (word in _EXACT and before is not None)):
                yield self._change("notice", "bound-loosened", path, message)
            else:
                yield self._change("compatible", "bound-changed", path, message)

    def _fields(self, old: Shape, new: Shape, path: str) -> Iterator[Change]:
        names = dict.fromkeys([*old.properties, *new.properties])
        for name in names:
            if name == _REQUEST_ID and path == "$":
                continue
            place = f"{path}.{name}"
            is_required = name in new.required
            if name not in new.properties:
                yield self._change("breaking", "field-removed", place, "the field is gone")
            elif name not in old.properties:
                yield from self._new_field(old, new.properties[name], is_required, place)
            else:
                yield from self._presence(name in old.required, is_required, place)
                before, after = whole(old.properties[name]), whole(new.properties[name])
                if not is_required and before.default != after.default:
                    message = f"left out it means {_default(after)}, no longer {_default(before)}"
                    yield self._change("notice", "default-changed", place, message)
                yield from self._compare(before, after, place)

    def _new_field(
        self, old: Shape, field: Shape | bool, is_required: bool, path: str
    ) -> Iterator[Change]:
        if self._is_sent and is_required:
            message = "a new field, and it is required"
            yield self._change("breaking", "field-required", path, message)
        elif not self._is_sent and old.additional_properties is False:
            yield self._change("breaking", "field-added", path, "a new field, where none may be")
        else:
            yield self._change("compatible", "field-added", path, "a new field")
        if not isinstance(old.additional_properties, bool):  # it was among those without a name
            yield from self._compare(old.additional_properties, field, path)

    def _presence(self, was: bool, is_now: bool, path: str) -> Iterator[Change]:
        if is_now and not was:
            yield self._narrower("field-required", path, "it is required now")
        elif was and not is_now:
            yield self._wider("field-optional", path, "it may be left out now")

    def _others(self, old: Shape, new: Shape, path: str) -> Iterator[Change]:
        """Fields that have no name in the schema."""
        before, after = old.additional_properties, new.additional_properties
        if after is False and before is not False:
            yield self._narrower("fields-closed", path, "other fields are refused now")
        elif before is False and after is not False:
            yield self._wider("fields-opened", path, "there may be other fields now")
        else:
            yield from self._compare(before, after, f"{path}.*")

    def _items(self, old: Shape, new: Shape, path: str) -> Iterator[Change]:
        before, after = old.items, new.items
        if isinstance(before, list) and isinstance(after, list):
            for place, (one, other) in enumerate(zip(before, after, strict=False)):
                yield from self._compare(one, other, f"{path}[{place}]")
        elif isinstance(before, list) or isinstance(after, list):
            message = "its items have another shape"
            yield self._change("breaking", "type-changed", path, message)
        else:
            yield from self._compare(before, after, f"{path}[]")

    def _narrower(self, kind: str, path: str, message: str) -> Change:
        return self._change("breaking" if self._is_sent else "compatible", kind, path, message)

    def _wider(self, kind: str, path: str, message: str) -> Change:
        return self._change("compatible" if self._is_sent else "breaking", kind, path, message)

    def _change(self, severity: Severity, kind: str, path: str, message: str) -> Change:
        return Change(
            severity=severity,
            kind=kind,
            about=self._about,
            direction=self._direction,
            path=path,
            message=message,
        )


def _covers(kind: str, kinds: dict[str, list[Branch]]) -> bool:
    return kind in kinds or ANYTHING in kinds or (kind == "integer" and "number" in kinds)


def _a(kind: str) -> str:
    if kind in ("null", ANYTHING):
        return kind
    return f"an {kind}" if kind[0] in "aio" else f"a {kind}"


def _named(branch: Branch, kind: str) -> str:
    return branch.name or f"another {kind}"


def _shown(values: list[Any]) -> str:
    return ", ".join(json.dumps(value, ensure_ascii=False) for value in values) or "nothing"


def _bound(value: Any) -> str:
    return "none" if value is None else str(value)


def _default(shape: Shape) -> str:
    return "nothing" if shape.default is UNSET else _shown([shape.default])
