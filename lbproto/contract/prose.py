"""What a contract says in words, for people who read a document or a generated file."""

from __future__ import annotations

from lbproto.contract.model import Emitted, Lifecycle, Limits, Price, Request, Window

__all__ = ["emitted_prose", "price_of", "request_prose", "windows_of"]

_OVERFLOW = {
    "drop_oldest": "A client that is too slow misses the oldest ones, and is told how many.",
    "conflate": "A client that is too slow gets the newest of each kind only.",
}


def price_of(price: Price | None) -> str:
    """`2 credits`, `nothing`, or what it depends on."""
    if price is None:
        return "nothing"
    if price == "varies":
        return "credits, by the request"
    return f"{price} {'credit' if price == 1 else 'credits'}"


def request_prose(request: Request) -> list[str]:
    """What is to be known of a request beside its payload: a sentence each."""
    told = []
    if request.answers:
        told.append(f"Answered by {_names(request.answers)}.")
    elif request.job is None:
        told.append("It is only acknowledged.")
    if request.job is not None:
        told += _job_prose(request.job)
    else:
        told.append(f"Refused by `{request.refused}`.")
    if request.timeout is not None:
        told.append(_time(request.timeout))
    if request.price is not None:
        told.append(f"It costs {price_of(request.price)}.")
    if request.weight != 1:
        told.append(f"It counts as {request.weight} requests.")
    if request.counted == "session":
        told.append("It counts against the session's limit only.")
    return told


def emitted_prose(event: Emitted) -> list[str]:
    """The same of an event that the server sends; nothing where slow clients miss none of it."""
    return [_OVERFLOW[event.overflow]] if event.overflow in _OVERFLOW else []


def windows_of(limits: Limits) -> list[str]:
    """What a client may ask for: a line for each tier, and one for the session."""
    told = []
    for name, windows in limits.tiers.items():
        default = ", which is the default" if name == limits.default_tier else ""
        shown = "; ".join(map(_window, windows)) or "as much as they like"
        told.append(f"A user of the tier {name}{default}: {shown}.")
    if limits.per_session is not None:
        told.append(f"A session: {_window(limits.per_session)}.")
    return told


def _job_prose(job: Lifecycle) -> list[str]:
    stages = " → ".join(
        f"`{event}`" + ("*" if stage in ("progress", "output") else "")
        for stage, event in job.stages.items()
        if stage != "failure"
    )
    told = [f"A job: {stages}; or `{job.failure}`."]
    if job.group is not None and job.waiting is not None:
        told.append(f"One at a time for each `{job.group}`, and {job.waiting} may wait.")
    if job.timeout is not None:
        told.append(_time(job.timeout))
    return told


def _time(timeout: float) -> str:
    return f"It may take {timeout:g} s."


def _names(events: tuple[str, ...]) -> str:
    return " or ".join(f"`{event}`" for event in events)


def _window(window: Window) -> str:
    return f"{window.number:,} in {window.seconds:g} s, {window.burst:,} of them at once"
