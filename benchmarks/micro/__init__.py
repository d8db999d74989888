"""Single operations in one process, without a network: what each costs, and beside what.

An operation is run under a name by several rows; the row `floor` is the least it can take in
Python.
"""

from benchmarks.micro import candles, codec, ledger, limits, memory, priced, registry, telemetry
from benchmarks.micro.operation import Operation

__all__ = ["OPERATIONS"]

OPERATIONS: tuple[Operation, ...] = (
    *codec.OPERATIONS,
    *registry.OPERATIONS,
    *limits.OPERATIONS,
    *ledger.OPERATIONS,
    *priced.OPERATIONS,
    *telemetry.OPERATIONS,
    *memory.OPERATIONS,
    *candles.OPERATIONS,
)
"""All of them, in the order of tables."""
