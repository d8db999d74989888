"""What a world is looked at by, while it runs and at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lbproto.events import Event

if TYPE_CHECKING:
    from lbproto.simulator.guest import Asked, Guest
    from lbproto.simulator.world import World

__all__ = ["Check", "Checks"]


class Check:
    """Looks at what clients are told. Subclass it for what your plugin promises.

    Whatever is not as promised is told to `self.world.story.break_`.

    Attributes:
        world: what it looks at; there when it begins.
    """

    world: World

    def begin(self) -> None:
        """The world begins."""

    def asked(self, guest: Guest, asked: Asked) -> None:
        """A client asks for something."""

    def came(self, guest: Guest, *, is_recovered: bool) -> None:
        """A client is let in.

        Args:
            is_recovered: whether its session goes on.
        """

    def told(self, guest: Guest, event: Event) -> None:
        """A client is sent an event."""

    def lost(self, guest: Guest, code: int) -> None:
        """A client has lost its connection; `code` is 1006 where nobody closed it."""

    def settled(self) -> None:
        """All is well since long, and nobody has asked for anything: what was to come has come."""

    def finish(self) -> None:
        """Everybody has asked once more, and had time to be answered: the world is about to end."""


class Checks(Check):
    """All of them.

    Args:
        world: what they look at.
        checks: who looks.
    """

    def __init__(self, world: World, checks: Sequence[Check]) -> None:
        self.world = world
        self._checks = checks
        for check in checks:
            check.world = world

    def begin(self) -> None:
        for check in self._checks:
            check.begin()

    def asked(self, guest: Guest, asked: Asked) -> None:
        for check in self._checks:
            check.asked(guest, asked)

    def came(self, guest: Guest, *, is_recovered: bool) -> None:
        for check in self._checks:
            check.came(guest, is_recovered=is_recovered)

    def told(self, guest: Guest, event: Event) -> None:
        for check in self._checks:
            check.told(guest, event)

    def lost(self, guest: Guest, code: int) -> None:
        for check in self._checks:
            check.lost(guest, code)

    def settled(self) -> None:
        for check in self._checks:
            check.settled()

    def finish(self) -> None:
        for check in self._checks:
            check.finish()
