"""Whole worlds in virtual time: nodes, clients and the network between them, drawn from a seed.

What runs is the server as it is, from its connections to its stores' ports; what is simulated is
below the ports, and time. So a failing seed fails again, wherever it is tried, and can be shrunk to
the few steps that it needs.
"""

from lbproto.simulator.checks.base import Check
from lbproto.simulator.guest import Asked, Guest
from lbproto.simulator.many import Seed, many
from lbproto.simulator.outcome import Outcome, replay, simulate
from lbproto.simulator.plan import Plan, Step, draw
from lbproto.simulator.scenario import Ask, Scenario, Visit
from lbproto.simulator.shrink import shrink
from lbproto.simulator.story import Broken, Line, Story
from lbproto.simulator.world import World

__all__ = [
    "Ask",
    "Asked",
    "Broken",
    "Check",
    "Guest",
    "Line",
    "Outcome",
    "Plan",
    "Scenario",
    "Seed",
    "Step",
    "Story",
    "Visit",
    "World",
    "draw",
    "many",
    "replay",
    "shrink",
    "simulate",
]
