"""What one of each costs, as it was measured, and by which command."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields, replace
from math import inf
from pathlib import Path
from typing import Any

__all__ = ["UnitCosts", "read"]

_FANOUT = "benchmarks paced --clients 1000"
_IDLE = "benchmarks idle --clients 5000"
_MEASURED = "benchmarks.capacity measure"


def _cost(value: float, what: str, source: str) -> Any:
    return field(default=value, metadata={"what": what, "source": source})


@dataclass(frozen=True, kw_only=True)
class UnitCosts:
    """µs of one core, and bytes; `source` in a field's metadata is the command that has told it.

    What is measured with two nodes is so named: more nodes add what they say by the formulas.
    """

    delivery_us: float = _cost(5.58, "a write to a client's connection", _FANOUT)
    event_us: float = _cost(30.0, "an event on each node that has members", "benchmarks micro")
    request_us: float = _cost(18.7, "a request", "benchmarks request")
    priced_us: float = _cost(27.0, "its limits and price", "benchmarks micro")
    traced_us: float = _cost(123.0, "its trace", "benchmarks request --rows lbproto-otel")
    hold_us: float = _cost(0.58, "a connection, a second", _IDLE)
    resume_us: float = _cost(302.0, "a client back on its node", "benchmarks recovery")
    connect_us: float = _cost(1_396.0, "a session that begins, of two nodes", _MEASURED)
    move_us: float = _cost(3_613.0, "one that goes on elsewhere, there", _MEASURED)
    moved_us: float = _cost(1_126.0, "and where it was", _MEASURED)
    say_call_us: float = _cost(159.5, "a call to the broker", _MEASURED)
    say_us: float = _cost(5.9, "and each message in it", _MEASURED)
    hear_us: float = _cost(9.7, "a message of another node", _MEASURED)
    told_us: float = _cost(2.9, "what it says of a session", _MEASURED)
    store_us: float = _cost(140.0, "a call to the storage", _MEASURED)
    whole_say_us: float = _cost(1.1, "a session that a new node is told of", _MEASURED)
    whole_hear_us: float = _cost(6.1, "and for the new node", _MEASURED)
    broker_call_us: float = _cost(103.0, "broker: a call", _MEASURED)
    broker_parcel_us: float = _cost(6.3, "broker: a message in it", _MEASURED)
    broker_copy_us: float = _cost(0.8, "broker: each node that it goes to", _MEASURED)
    broker_store_us: float = _cost(49.0, "storage: a call", _MEASURED)
    base_bytes: float = _cost(56 * 2**20, "a node without clients", _IDLE)
    connection_bytes: float = _cost(15.6 * 2**10, "a connection", _IDLE)
    session_bytes: float = _cost(2**10, "its session, of several nodes", "assumed")
    elsewhere_bytes: float = _cost(128.0, "a session on another node", _MEASURED)
    broker_session_bytes: float = _cost(804.0, "both: a session's record and channel", _MEASURED)
    kernel_bytes: float = _cost(8 * 2**10, "a connection, in the kernel", "assumed")

    def sources(self) -> list[tuple[str, float, str, str]]:
        """Each with its name, how much, what it is, and where it is from."""
        return [
            (each.name, getattr(self, each.name), each.metadata["what"], each.metadata["source"])
            for each in fields(self)
        ]


def read(path: Path) -> UnitCosts:
    """Costs with those of a TOML file in place of ours, by their names.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not TOML, or has something else than costs.
    """
    given = tomllib.loads(path.read_text("utf-8"))
    known = {each.name for each in fields(UnitCosts)}
    for name, value in given.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if name not in known or not is_number or not 0 <= value < inf:
            raise ValueError(f"{name} = {value!r} is not a cost")
    return replace(UnitCosts(), **given)
