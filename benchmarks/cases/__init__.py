"""What is measured, one file a case: what is run, and what is counted."""

from benchmarks.cases.base import Case
from benchmarks.cases.fanout import FANOUT
from benchmarks.cases.graph import GRAPH
from benchmarks.cases.idle import IDLE
from benchmarks.cases.imports import IMPORTS
from benchmarks.cases.ledger import LEDGER
from benchmarks.cases.micro import INSTRUCTIONS, MICRO
from benchmarks.cases.paced import PACED
from benchmarks.cases.recovery import RECOVERY
from benchmarks.cases.request import REQUEST
from benchmarks.cases.soak import SOAK

__all__ = ["CASES"]

CASES: dict[str, Case] = {
    case.name: case
    for case in (
        FANOUT,
        PACED,
        REQUEST,
        IDLE,
        RECOVERY,
        LEDGER,
        IMPORTS,
        GRAPH,
        MICRO,
        INSTRUCTIONS,
        SOAK,
    )
}
"""By name, in the order of reports."""
