"""The dashboard asks for metrics that a server exports, as Prometheus names them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from lbproto import Context, Event, Plugin
from lbproto.ledger.memory import MemoryLedger
from lbproto.telemetry import Telemetry
from tests.core.harness import connected, running

pytestmark = pytest.mark.anyio

DASHBOARD = Path(__file__).parents[2] / "examples" / "grafana.json"
NAME = re.compile(r"\b(?:lbproto|rpc|messaging|error)_\w+")


class Buy(Event):
    broken: bool = False


class Bought(Event):
    pass


def shop() -> Plugin:
    plugin = Plugin("shop")

    @plugin.on(Buy, price=5)
    async def buy(ctx: Context, request: Buy) -> Bought:
        if request.broken:
            raise RuntimeError
        return Bought()

    return plugin


def queries(dashboard: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]


async def exported() -> tuple[set[str], set[str]]:
    """The series that a server exports which does a little of everything, and their labels."""
    reader = PrometheusMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    telemetry = Telemetry(meter_provider=meters)
    async with running(shop(), telemetry=telemetry, credits=MemoryLedger()) as server:
        await server.credits.grant("ada", 100, "gift")
        client = await connected(server, "ada")
        await client.ask("buy", {})
        await client.ask("buy", {"broken": True})
        text = generate_latest(REGISTRY).decode()
    meters.shutdown()
    series: set[str] = set()
    labels: set[str] = set()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if NAME.fullmatch(sample.name):
                series.add(sample.name)
                labels.update(sample.labels)
    return series, labels


async def test_the_dashboard_asks_for_what_is_exported_and_for_all_of_it() -> None:
    series, labels = await exported()
    dashboard = json.loads(DASHBOARD.read_text())
    asked: set[str] = set()
    for query in queries(dashboard):
        names = set(NAME.findall(query))
        assert names <= series | labels, query
        assert names & series, query
        asked |= names
    duration = "rpc_server_call_duration_seconds"
    assert asked >= series - {f"{duration}_sum", f"{duration}_count"}


def test_panels_do_not_overlap() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]
                assert x < 24
