"""What a run has found, as it is stored."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks.machine import Machine, describe

__all__ = [
    "SCHEMA",
    "CaseResult",
    "Measurement",
    "NotStored",
    "Parameters",
    "Results",
    "alike",
    "load",
    "save",
]

SCHEMA = 1
"""Grows when a stored run can no longer be read."""

Parameters = dict[str, int | float | str]
"""Under what a row was measured: how many clients, how long a payload."""


def alike(parameters: Parameters) -> tuple[tuple[str, int | float | str], ...]:
    """What two rows must share to be compared: all but the wire, which is the row's own."""
    return tuple((name, value) for name, value in parameters.items() if name != "wire")


class NotStored(Exception):
    """A file is not what `save` has written; the message says why."""


class Measurement(msgspec.Struct, kw_only=True):
    """One row under one set of parameters.

    Attributes:
        row: who was measured.
        parameters: under what.
        repeats: the figures of each repeat by name, in the order in which they were taken.
        failures: why a repeat has no figures.
        series: figures over time, where a case takes any; `seconds` are their moments.
    """

    row: str
    parameters: Parameters
    repeats: list[dict[str, float]] = msgspec.field(default_factory=list)
    failures: list[str] = msgspec.field(default_factory=list)
    series: dict[str, list[float]] = msgspec.field(default_factory=dict)

    def values(self, figure: str) -> list[float]:
        """A figure in all repeats that have it."""
        return [repeat[figure] for repeat in self.repeats if figure in repeat]


class CaseResult(msgspec.Struct, kw_only=True):
    """What a case has found.

    Attributes:
        case: its name.
        measurements: in the order of the table of rows.
        skipped: rows that could not be run, each with what is missing.
    """

    case: str
    measurements: list[Measurement] = msgspec.field(default_factory=list)
    skipped: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether anything was run that did not end as it should."""
        return any(measurement.failures for measurement in self.measurements)


class Results(msgspec.Struct, kw_only=True):
    """A whole run.

    Attributes:
        schema: see `SCHEMA`.
        taken: when it began, ISO 8601 in UTC.
        machine: on what.
        options: what was asked for.
        cases: what was found.
    """

    schema: int = SCHEMA
    taken: str = msgspec.field(
        default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds")
    )
    machine: Machine = msgspec.field(default_factory=describe)
    options: dict[str, str] = msgspec.field(default_factory=dict)
    cases: list[CaseResult] = msgspec.field(default_factory=list)

    def case(self, name: str) -> CaseResult | None:
        """What a case has found; None where it was not run."""
        return next((case for case in self.cases if case.case == name), None)


def save(results: Results, path: Path) -> None:
    """Store a run as JSON, readable by people too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


def load(path: Path) -> Results:
    """Read a stored run.

    Raises:
        NotStored: it cannot be read, is not a stored run, or one of another schema.
    """
    try:
        results = msgspec.json.decode(path.read_bytes(), type=Results)
    except (OSError, msgspec.DecodeError) as error:
        raise NotStored(f"{path} is not a stored run: {error}") from error
    if results.schema != SCHEMA:
        raise NotStored(f"{path} has schema {results.schema}, this suite reads {SCHEMA}")
    return results
