"""The measurements: each takes a crowd that is connected, and says what it saw."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import cycle
from time import monotonic

from lbproto.load.asking import Asking
from lbproto.load.crowd import Crowd
from lbproto.load.frames import client_frame
from lbproto.load.results import FanOut, Progress, Requests
from lbproto.load.running import Run

__all__ = ["fan_out", "idle", "listen", "paced", "requests"]

_POLL_SECONDS = 0.02  # between two looks at the time, while nothing happens
_SAMPLE_EVERY = 16  # of so many deliveries one is looked at for its delay, where there are many
_STRAY_SECONDS = 0.2  # seconds that are waited for deliveries that nobody asked for
_CATCH_UP_SECONDS = 2.0  # seconds that clients may need to have heard the same

Tell = Callable[[Progress], None]


def fan_out(
    crowd: Crowd,
    *,
    events: int = 1,
    window: int = 3,
    seconds: float = 5.0,
    warm: float = 1.0,
    progress: Tell | None = None,
) -> FanOut:
    """How many deliveries a second there are, when the server always has something to do.

    One connection more asks for events, for one room after the other. The next is asked for when
    every delivery of the oldest has arrived.

    Args:
        crowd: its dialect says how one publishes, and its clients are in rooms.
        events: how many are asked for at a time.
        window: how often that is asked for ahead, at least 1.
        seconds: how long; it ends when everything that was asked for has come.
        warm: seconds that are not measured, before.
        progress: called about ten times a second.

    Raises:
        LoadError: a connection was lost, or deliveries are missing.
    """
    run, ask = _publishing(crowd, events, _SAMPLE_EVERY, progress)
    for duration, measured in ((warm, False), (seconds, True)):
        run.begin(duration, warm=measured)
        oldest: deque[int] = deque()
        while run.goes_on():
            while oldest and run.arrived >= oldest[0]:
                oldest.popleft()
            if not run.over:
                while len(oldest) < window:
                    ask()
                    oldest.append(run.expected)
            run.turn(_POLL_SECONDS)
    return _published(run, events)


def paced(
    crowd: Crowd,
    *,
    rate: float = 20.0,
    events: int = 1,
    seconds: float = 5.0,
    warm: float = 1.0,
    progress: Tell | None = None,
) -> FanOut:
    """What delays there are, when events are asked for so often, whatever the server does.

    Args:
        crowd: see `fan_out`; without its dialect's `timestamp` no delay is seen.
        rate: how often a second events are asked for.
        events: how many at a time.
        seconds: how long; it ends when everything that was asked for has come.
        warm: seconds that are not measured, before.
        progress: called about ten times a second.

    Raises:
        LoadError: a connection was lost, or deliveries are missing.
    """
    run, ask = _publishing(crowd, events, 1, progress)
    for duration, measured in ((warm, False), (seconds, True)):
        run.begin(duration, warm=measured)
        due = monotonic()
        while run.goes_on():
            while not run.over and due <= monotonic():
                ask()
                due += 1 / rate
            run.turn(min(_POLL_SECONDS, max(0.0, due - monotonic())))
    return _published(run, events)


def listen(crowd: Crowd, *, seconds: float = 5.0, progress: Tell | None = None) -> FanOut:
    """What clients hear that the server publishes by itself, and whether all hear the same.

    It begins in a moment of quiet, and ends in one when all in a room have heard the same, or two
    seconds late. A server that is never quiet for 20 ms has deliveries under way in both: then
    clients differ by those, and not by a loss.

    Args:
        crowd: its clients are in rooms.
        seconds: how long.
        progress: called about ten times a second.

    Raises:
        LoadError: a connection was lost.
    """
    run = Run(crowd, crowd.dialect.marker, 1, progress)
    run.begin(seconds, warm=True)
    while not run.over:
        run.turn(_POLL_SECONDS)
    end = monotonic() + _CATCH_UP_SECONDS
    while not run.in_step() and monotonic() < end:
        run.turn(_POLL_SECONDS)
    run.finish()
    return run.heard()


def requests(
    crowd: Crowd,
    *,
    depth: int = 1,
    seconds: float = 5.0,
    warm: float = 1.0,
    progress: Tell | None = None,
) -> Requests:
    """How many requests a second are answered, when each client always has some under way.

    Args:
        crowd: its dialect says what is asked, and what is answered.
        depth: how many each client has under way.
        seconds: how long; it ends when every request is answered.
        warm: seconds that are not measured, before.
        progress: called about ten times a second.

    Raises:
        LoadError: a connection was lost, a request was refused or not answered.
    """
    dialect = crowd.dialect
    if not dialect.request:
        raise ValueError("the dialect does not say what is asked")
    run = Run(crowd, dialect.answered, 0, progress)
    asking = Asking(crowd, run)
    with run.hooks(asking.answered, asking.unmarked):
        for duration, measured in ((warm, False), (seconds, True)):
            run.begin(duration, warm=measured)
            asking.begin(depth)
            while run.goes_on():
                run.turn(_POLL_SECONDS)
    run.finish()
    return run.asked(depth, asking.delays)


def idle(crowd: Crowd, *, seconds: float) -> None:
    """Hold all connections, and answer heartbeats.

    Args:
        seconds: how long; 0 or more.

    Raises:
        LoadError: a connection was lost.
    """
    end = monotonic() + seconds
    while not crowd.stopping and (left := end - monotonic()) > 0:
        crowd.turn(min(left, _POLL_SECONDS))


def _publishing(
    crowd: Crowd, events: int, every: int, progress: Tell | None
) -> tuple[Run, Callable[[], None]]:
    """A run, and what asks for events to the next room."""
    dialect = crowd.dialect
    if not dialect.publish:
        raise ValueError("the dialect does not say how one publishes: use `listen`")
    population = crowd.population
    if dialect.subscribe and "" in population:
        raise RuntimeError("subscribe before measuring, so that somebody hears what is published")
    publisher = crowd.publisher()
    run = Run(crowd, dialect.marker, every, progress)
    asked: Iterator[tuple[str, bytes]] = cycle(
        (room, client_frame(dialect.say(dialect.publish, count=events, room=room)))
        for room in population
    )

    def ask() -> None:
        room, frame = next(asked)
        publisher.send(frame)
        run.asked_for(room, events, population[room])

    return run, ask


def _published(run: Run, events: int) -> FanOut:
    run.finish()
    end = monotonic() + _STRAY_SECONDS
    while monotonic() < end:
        run.turn(_POLL_SECONDS)
    return run.published(events)
