"""What is simulated: plugins, what clients ask of them, and what is promised to clients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from lbproto.events import Event
from lbproto.plugin import Plugin
from lbproto.simulator.checks.base import Check
from lbproto.simulator.yard import visit as visit_yard

__all__ = ["Ask", "Scenario", "Visit"]

Ask = Event | Callable[[list[Event]], Event | None]
"""What a client asks: an event, or what makes one (or None) of all that it has been told so far."""

Visit = Callable[[Random], Iterable[Ask]]
"""What one client asks for, in order. Whatever it decides by chance it draws from what it is given,
so that the same seed is the same visit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is simulated. There are always a few rooms, prices and jobs besides: the `yard`.

    Attributes:
        plugins: makes the plugins of one node; called anew for each. What their handlers wait for
            has to be virtual: `ctx.clock.sleep`, `anyio.sleep`, events and locks do; sockets,
            files and threads do not.
        visit: what every other client asks for; the rest visit the yard. When each thing is
            asked, and of which node, is drawn. By default all visit the yard.
        checks: makes what looks at what clients are told, besides what every server promises.
    """

    plugins: Callable[[], Sequence[Plugin]] = tuple
    visit: Visit | None = None
    checks: Callable[[], Sequence[Check]] = tuple

    def asks(self, guest: int, random: Random) -> Iterator[Ask]:
        """What a client asks for.

        Args:
            guest: its number.
            random: what it draws from.
        """
        is_yards = self.visit is None or guest % 2
        return iter(visit_yard(random) if is_yards or self.visit is None else self.visit(random))
