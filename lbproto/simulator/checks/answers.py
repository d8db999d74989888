"""Whoever asks is answered."""

from __future__ import annotations

from lbproto.simulator.checks.base import Check

__all__ = ["Answers"]

_SOON = 2.0  # seconds in which the last requests are answered


class Answers(Check):
    """Waits for every answer."""

    def settled(self) -> None:
        now = self.world.loop.time()
        for guest in self.world.guests.values():
            for asked in guest.asked.values():
                is_waiting = guest.is_in and asked.connection == guest.connection
                if is_waiting and not asked.answered and asked.at < now - _SOON:
                    self.world.story.break_(
                        "answer",
                        guest.name,
                        f"an answer to {asked.event}, asked at {asked.at:.4f} s",
                        "none",
                    )

    def finish(self) -> None:
        self.settled()
