"""The reference of spans and metrics says what is exported, and all of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics.export import Histogram, Metric, Sum

from lbproto import Context, Event, Plugin
from lbproto.ledger.memory import MemoryLedger
from lbproto.telemetry import names
from tests.core.harness import connected
from tests.core.telling import telling

pytestmark = pytest.mark.anyio

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference" / "telemetry.md").read_text()
OF_THE_WORKER = {
    "db.system.name",
    "db.response.returned_rows",
    "process.pid",
    "lbproto.query.planned",
    "lbproto.query.waited",
}


class Buy(Event):
    broken: bool = False


def shop() -> Plugin:
    plugin = Plugin("shop")

    @plugin.on(Buy, price=5)
    async def buy(ctx: Context, request: Buy) -> None:
        if request.broken:
            raise RuntimeError

    return plugin


def row(metric: Metric) -> str:
    """A metric's row in the reference."""
    data = metric.data
    assert isinstance(data, (Histogram, Sum))
    if isinstance(data, Histogram):
        kind = "histogram"
    else:
        kind = "counter" if data.is_monotonic else "up-down counter"
    found = {name for point in data.data_points for name in point.attributes or ()}
    attributes = ", ".join(f"`{name}`" for name in sorted(found))
    return f"| `{metric.name}` | {kind} | `{metric.unit}` | {attributes} | {metric.description} |"


async def test_every_metric_is_a_row() -> None:
    async with telling(shop(), credits=MemoryLedger()) as (server, told):
        await server.credits.grant("ada", 100, "gift")
        client = await connected(server, "ada")
        await client.ask("buy", {})
        await client.ask("buy", {"broken": True})
        data = told.reader.get_metrics_data()
    assert data is not None
    (scope,) = data.resource_metrics[0].scope_metrics
    rows = {row(metric) for metric in scope.metrics}
    table = REFERENCE.partition("## Metrics")[2].splitlines()
    assert {line for line in table if line.startswith("| `")} == rows


def test_every_attribute_of_a_span_is_explained() -> None:
    spans = REFERENCE.partition("## Spans")[2].partition("## Metrics")[0]
    explained = set(re.findall(r"^\| `([a-z_.]+\.[a-z_.]+)` \|", spans, re.MULTILINE))
    named = {getattr(names, each) for each in names.__all__ if each.isupper()}
    used = {each for each in named if "." in each}
    of_metrics = set(re.findall(r"`([a-z_.]+)`", REFERENCE.partition("## Metrics")[2]))
    assert explained <= used | OF_THE_WORKER
    assert used <= explained | of_metrics
    assert explained >= OF_THE_WORKER
