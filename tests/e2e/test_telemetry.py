"""One request of a stock client, through two servers and a worker, as a collector shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lbproto.telemetry.instruments import OBSERVED
from lbproto.telemetry.metrics import CREDITS, DURATION, REQUESTS
from tests.e2e.collector import Collector, collecting, tree
from tests.e2e.node import NodeClient
from tests.e2e.pairs import Pair, serving_two
from tests.e2e.traced import BROKER
from tests.ledger.servers import Valkey
from tests.serving import serving

pytestmark = pytest.mark.usefixtures("node")

EXAMPLES = Path(__file__).parents[2] / "examples"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CLIENT_SPAN = "00f067aa0ba902b7"
QUERY = {
    "sql": "SELECT count(*) AS n FROM trades",
    "traceparent": f"00-{TRACE}-{CLIENT_SPAN}-01",
}
DELIVERIES = ("deliver audited", "deliver credits_deducted", "deliver credit_balance_updated")


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as running, pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")  # ms
        environment.setenv("OTEL_METRIC_EXPORT_INTERVAL", "300")
        yield running


@pytest.fixture(scope="module")
def nodes(valkey: Valkey, collector: Collector) -> Iterator[Pair]:
    with serving_two("tests.e2e.traced:app", BROKER, valkey.url) as both:
        yield both


def test_a_request_is_followed_through_two_nodes_and_a_worker(
    nodes: Pair, collector: Collector
) -> None:
    options = {"transports": ["websocket"], "auth": {"token": "ada"}}
    with (
        NodeClient.connecting(nodes[0].http, **options) as asking,
        NodeClient.connecting(nodes[1].http, **options) as auditing,
    ):
        asking.event("connected")
        auditing.event("connected")
        assert auditing.call("subscribe", {"room": "audit"})["ok"]
        assert asking.call("query", QUERY)["ok"]
        assert auditing.event("audited") == {"event": "query"}
    spans = collector.until(TRACE, {"query", "query worker", *DELIVERIES})
    query, worker, delivery = (spans[name] for name in ("query", "query worker", DELIVERIES[0]))
    shown = tree(list(spans.values()), {query.service: "one", delivery.service: "two"})
    print(shown)  # with `pytest -s` a person sees it
    assert shown == (
        "query [one]\n"
        "  deliver audited [two]\n"
        "  deliver credit_balance_updated [two]\n"
        "  deliver credits_deducted [two]\n"
        "  query worker [one]"
    )
    assert query.parent == CLIENT_SPAN
    assert query.kind == "SPAN_KIND_SERVER"
    assert delivery.kind == "SPAN_KIND_CONSUMER"
    assert delivery.links == [query.id]
    assert worker.attributes["process.pid"] not in query.service
    assert worker.attributes["db.response.returned_rows"] == "1"


def test_the_collector_has_every_metric(nodes: Pair, collector: Collector) -> None:
    with NodeClient.connecting(nodes[0].http, auth={"token": "ada"}) as client:
        client.event("connected")
        assert client.call("query", {"sql": "SELECT 1"})["ok"]
        collector.until_metrics({*(each.name for each in OBSERVED), DURATION, REQUESTS, CREDITS})


def test_the_example_tells_a_collector(collector: Collector) -> None:
    options = ("--app-dir", str(EXAMPLES), "--factory")
    traceparent = f"00-{TRACE[::-1]}-{CLIENT_SPAN}-01"
    with (
        serving("otel:server.asgi", options=options) as server,
        NodeClient.connecting(server.http, auth={"token": "secret"}) as client,
    ):
        client.event("connected")
        greeting = client.call("greet", {"name": "bob", "traceparent": traceparent})
        assert greeting["data"] == {"text": "Hello Bob, from alice"}
    spans = collector.until(TRACE[::-1], {"greet", "look up"})  # at the latest when it has stopped
    assert spans["look up"].parent == spans["greet"].id
    assert spans["greet"].parent == CLIENT_SPAN
