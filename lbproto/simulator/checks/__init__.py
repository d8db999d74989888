"""What every server promises its clients, each promise in a file of its own."""

from __future__ import annotations

from lbproto.simulator.checks.answers import Answers
from lbproto.simulator.checks.base import Check
from lbproto.simulator.checks.delivery import Delivery
from lbproto.simulator.checks.jobs import Jobs
from lbproto.simulator.checks.money import Money
from lbproto.simulator.checks.presence import Presence
from lbproto.simulator.checks.resumption import Resumption

__all__ = ["standard_checks"]


def standard_checks() -> list[Check]:
    """Those that look at every world."""
    return [Delivery(), Resumption(), Presence(), Jobs(), Money(), Answers()]
