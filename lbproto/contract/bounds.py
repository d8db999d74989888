"""What has changed of the limits that every client has; none of it breaks one, some are felt."""

from __future__ import annotations

from collections.abc import Iterator

from lbproto.contract.changes import Change, Severity
from lbproto.contract.model import Limits, Window

__all__ = ["limit_changes"]

_BOUNDS = {
    "max_rooms": "rooms of a session",
    "max_jobs": "jobs of a user",
    "max_payload": "bytes of a message",
    "resumable": "seconds that a session waits for its client",
}


def limit_changes(old: Limits, new: Limits) -> Iterator[Change]:
    """What has changed, tier by tier."""
    for name, windows in old.tiers.items():
        if name not in new.tiers:
            yield _change("notice", name, "the tier is gone")
        else:
            yield from _windows(name, windows, new.tiers[name])
    for name in (name for name in new.tiers if name not in old.tiers):
        yield _change("notice" if not old.tiers else "compatible", name, "a new tier")
    if old.default_tier != new.default_tier:
        message = (
            f"the tier by default: {old.default_tier or 'none'}, now {new.default_tier or 'none'}"
        )
        yield _change("notice", new.default_tier or "limits", message)
    own = [() if each.per_session is None else (each.per_session,) for each in (old, new)]
    yield from _windows("session", *own)
    for bound, shown in _BOUNDS.items():
        before, after = getattr(old, bound), getattr(new, bound)
        if before != after:
            is_tighter = (after or 0) < (before or 0)
            message = f"{shown}: {before or 'none'}, now {after or 'none'}"
            yield _change("notice" if is_tighter else "compatible", "limits", message)


def _windows(about: str, old: tuple[Window, ...], new: tuple[Window, ...]) -> Iterator[Change]:
    before, after = ({window.seconds: window for window in some} for some in (old, new))
    for seconds in sorted(before.keys() | after.keys()):
        one, other = before.get(seconds), after.get(seconds)
        if one == other:
            continue
        is_tighter = other is not None and (
            one is None or other.number < one.number or other.burst < one.burst
        )
        message = f"requests in {seconds:g} s: {_shown(one)}, now {_shown(other)}"
        yield _change("notice" if is_tighter else "compatible", about, message)


def _shown(window: Window | None) -> str:
    return "any number" if window is None else f"{window.number:,}, {window.burst:,} at once"


def _change(severity: Severity, about: str, message: str) -> Change:
    return Change(severity=severity, kind="limits-changed", about=about, message=message)
