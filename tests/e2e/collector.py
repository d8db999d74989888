"""A collector that runs beside the tests: Rotel, which prints what it gets; and traces as trees."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.e2e.node import need
from tests.serving import free_port

__all__ = ["Collected", "Collector", "collecting", "tree"]

_SECONDS = 60
_METRIC = re.compile(r"-> Name: (\S+)")
_FIELD = re.compile(r"^\s*(?:-> )?([\w. ]+?)\s*: (.*)$")
_VALUE = re.compile(r"^\w+\((.*)\)$")


@dataclass
class Collected:
    """A span as the collector has printed it."""

    service: str
    name: str = ""
    kind: str = ""
    trace: str = ""
    id: str = ""
    parent: str = ""
    links: list[str] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)


class Collector:
    """One that runs.

    Attributes:
        url: where it takes OTLP by HTTP.
    """

    def __init__(self, port: int, output: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._output = output

    @property
    def printed(self) -> str:
        """All that it has printed so far."""
        return self._output.read_text()

    def spans(self, trace: str) -> list[Collected]:
        """The spans of a trace, as they came."""
        return [span for span in _spans(self.printed) if span.trace == trace]

    def until(self, trace: str, names: set[str]) -> dict[str, Collected]:
        """Those spans, once there are all of these names, by their names."""
        deadline = time.monotonic() + _SECONDS
        while (found := {span.name: span for span in self.spans(trace)}).keys() != names:
            assert time.monotonic() < deadline, f"these have come:\n{tree(list(found.values()))}"
            time.sleep(0.05)
        return found

    def until_metrics(self, names: set[str]) -> None:
        """Wait until metrics of these names have come, and no others."""
        deadline = time.monotonic() + _SECONDS
        while (found := set(_METRIC.findall(self.printed))) != names:
            assert time.monotonic() < deadline, found ^ names
            time.sleep(0.05)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector while the body runs."""
    found = find_spec("rotel")
    need(found, "Rotel is not installed")
    assert found is not None
    assert found.origin is not None
    port = free_port()
    with TemporaryDirectory() as folder:
        output = Path(folder, "output")
        command = [
            *(str(Path(found.origin).with_name("rotel-agent")), "start"),
            *("--otlp-http-endpoint", f"127.0.0.1:{port}"),
            *("--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}"),
            *("--exporter", "blackhole"),
            *("--debug-log", "traces", "--debug-log", "metrics"),
            *("--debug-log-verbosity", "detailed"),
        ]
        with output.open("wb") as written, subprocess.Popen(command, stdout=written) as process:
            try:
                yield Collector(port, output)
            finally:
                process.terminate()


def _spans(printed: str) -> Iterator[Collected]:
    service, span, linked = "", None, False
    for line in printed.splitlines():
        if line.startswith(("Span #", "ResourceSpans", "ResourceMetrics")):
            if span is not None:
                yield span
            span = Collected(service) if line.startswith("Span #") else None
            linked = False
        elif (match := _FIELD.match(line)) is None:
            linked = linked or line.startswith("Links:")
        else:
            name, value = match[1], match[2]
            if name == "service.name":
                service = _unwrapped(value)
            elif span is not None:
                _add(span, name, value, linked=linked)
    if span is not None:
        yield span


def _add(span: Collected, name: str, value: str, *, linked: bool) -> None:
    plain = {"Name": "name", "Kind": "kind", "Trace ID": "trace", "ID": "id", "Parent ID": "parent"}
    if linked:
        if name == "ID":
            span.links.append(value)
    elif name in plain:
        setattr(span, plain[name], value)
    else:
        span.attributes[name] = _unwrapped(value)


def _unwrapped(value: str) -> str:
    match = _VALUE.match(value)
    return value if match is None else match[1]


def tree(spans: list[Collected], names: Mapping[str, str] | None = None) -> str:
    """A trace as a person reads it: who did what for whom.

    Args:
        names: of services, where they are to be called otherwise.
    """
    known = {span.id for span in spans}
    lines: list[str] = []

    def add(parent: Collected | None, indent: str) -> None:
        below = [
            span
            for span in spans
            if (span.parent == parent.id if parent else span.parent not in known)
        ]
        for span in sorted(below, key=lambda span: span.name):
            service = (names or {}).get(span.service, span.service)
            lines.append(f"{indent}{span.name} [{service}]")
            add(span, indent + "  ")

    add(None, "")
    return "\n".join(lines)
