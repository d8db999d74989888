"""Whoever keeps the process of a server, and is told how it gets on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lbproto.cli.notify import READY, STOPPING, TURNS, notify

__all__ = ["Alone", "Keeper"]


class Keeper(Protocol):
    """Who started the process.

    Attributes:
        has_terminal: whether a person may be watching this process, and no other.
    """

    has_terminal: bool

    def ready(self) -> None:
        """The server runs."""
        ...

    def turns(self) -> bool:
        """A second has passed, and the event loop turns.

        Returns:
            Whether the server is still wanted.
        """
        ...

    def stopping(self) -> None:
        """The server takes no connections any more."""
        ...


class Alone(Keeper):
    """A person at a terminal, or a service manager: no other process of this server is there.

    Args:
        welcome: says that it runs.
    """

    has_terminal = True

    def __init__(self, welcome: Callable[[], None]) -> None:
        self._welcome = welcome

    def ready(self) -> None:
        self._welcome()
        notify(READY)

    def turns(self) -> bool:
        notify(TURNS)
        return True

    def stopping(self) -> None:
        notify(STOPPING)
