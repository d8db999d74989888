"""What an address has to do with those of whom harm is said, and the score that follows from it.

`analyse` is all of it. Its parts, in the order in which the data pass them::

    case         what is asked, and what it is answered from
    identities   who is who among the nodes
    clustering   what is said of the address, and of those that are likely the same owner's
    dusting      what it was sent unasked
    ledger       which payments are worth following        volumes    what shares are shares of
    taint        follows them                              holdings   what is taken of mixed money
    exposures    what arrived, by category and distance
    patterns     what is seen without knowing a name       peeling, witness
    score        weighs what was found                     weights    the table
"""

from lbproto_compliance.analysis.engine import Step, analyse
from lbproto_compliance.analysis.identities import Attributions
from lbproto_compliance.analysis.report import (
    MAX_HOPS,
    Analysis,
    ClusterReport,
    Direction,
    Evidence,
    Level,
    Method,
    Severity,
    Signal,
    Stage,
)
from lbproto_compliance.analysis.weights import DEFAULT_WEIGHTS, Weights

__all__ = [
    "DEFAULT_WEIGHTS",
    "MAX_HOPS",
    "Analysis",
    "Attributions",
    "ClusterReport",
    "Direction",
    "Evidence",
    "Level",
    "Method",
    "Severity",
    "Signal",
    "Stage",
    "Step",
    "Weights",
    "analyse",
]
