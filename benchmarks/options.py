"""What is asked for of a run."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Options"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """The same for every case; None is the case's own default.

    Attributes:
        rows: those to run; None for all that serve.
        clients: numbers of clients.
        events: events a publication, that is: frames a turn.
        payload: bytes of an event.
        wires: those to run rows on that speak several; None for each row's first.
        repeats: how often everything is run.
        seconds: how long a measurement takes.
        warm: seconds that are run before, and do not count.
        window: publications under way at a time, in a closed loop.
        depth: requests under way at a time, a connection.
        stalled: clients that never read.
        rate: publications a second, where they are paced.
        missed: events that a session has missed when it resumes.
        instructions: count instructions instead of time.
        minutes: how long a soak takes.
        load: the share of a core that the server is to use in a soak; above 0, at most 0.8.
        churn: the share of clients that leave and come each second.
        quick: as short as can be: to see that it works, not what it costs.
    """

    rows: tuple[str, ...] | None = None
    clients: tuple[int, ...] | None = None
    events: tuple[int, ...] | None = None
    payload: tuple[int, ...] = (190,)
    wires: tuple[str, ...] | None = None
    repeats: int = 3
    seconds: float = 5.0
    warm: float = 1.0
    window: int = 3
    depth: int = 1
    stalled: int = 0
    rate: float = 20.0
    missed: tuple[int, ...] | None = None
    instructions: bool = False
    minutes: float = 10.0
    load: float = 0.6
    churn: float = 0.01
    quick: bool = False
