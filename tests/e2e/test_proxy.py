"""Two nodes behind nginx, and behind HAProxy, as `examples/deploy` configures these."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from lbproto.wire import Settings
from tests.e2e.node import NodeClient, need
from tests.e2e.proxies import CONFIGURATIONS, Proxy, proxying
from tests.e2e.storming import BROKER
from tests.ledger.servers import Valkey
from tests.serving import ServerProcess, free_port, serving

SECONDS = 60
PROXIES = ["nginx", "haproxy"]
ROOM = "talk:a"


@pytest.fixture
def nodes(valkey: Valkey, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[ServerProcess]]:
    monkeypatch.setenv(BROKER, valkey.url)
    with ExitStack() as stack:
        yield [stack.enter_context(serving("tests.e2e.proxied:build", "lbproto")) for _ in range(2)]


@pytest.fixture(params=PROXIES)
def proxy(
    request: pytest.FixtureRequest, nodes: list[ServerProcess], tmp_path: Path
) -> Iterator[Proxy]:
    need(shutil.which(request.param), f"{request.param} is not installed")
    with proxying(request.param, [node.port for node in nodes], tmp_path) as running:
        yield running


@pytest.fixture
def clients(proxy: Proxy, node: None) -> Iterator[list[NodeClient]]:
    """Stock ones, each in its own way; two that begin by a websocket."""
    ways = [["polling"], ["polling", "websocket"], ["websocket"], ["websocket"]]
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                NodeClient.connecting(
                    proxy.http,
                    transports=transports,
                    auth={"token": f"token-{number}"},
                    ca=proxy.certificate.read_text(),
                    reconnectionDelay=100,
                    reconnectionDelayMax=500,
                )
            )
            for number, transports in enumerate(ways)
        ]


def _connected(client: NodeClient, *, recovered: bool = False) -> str:
    """Wait until it is; the id of its session."""
    told: str = client.until(happened="connect", recovered=recovered)["id"]
    return told


def _where(client: NodeClient) -> int:
    here = client.call("where")["data"]
    assert here["address"].startswith("127.0.0.1:")
    pid: int = here["pid"]
    return pid


def test_clients_stay_with_their_node_and_go_on_at_the_other(
    nodes: list[ServerProcess], proxy: Proxy, clients: list[NodeClient]
) -> None:
    ids = [_connected(client) for client in clients]
    while {"happened": "upgrade", "transport": "websocket"} not in clients[1].seen:
        clients[1].next()
    for client in clients:
        client.emit("subscribe", {"room": ROOM})
        client.event("subscribed")
    before = [_where(client) for client in clients]
    assert before[0] == before[1]  # of one address
    assert before[2] != before[3]  # one connection each
    by_address = [_polls(proxy, f"127.0.0.{number}") for number in range(1, 17)]
    assert by_address[0] == before[0]
    assert set(by_address) == {node.pid for node in nodes}

    next(node for node in nodes if node.pid == before[0]).stop()
    for number, client in enumerate(clients):
        if before[number] == before[0]:
            assert _connected(client, recovered=True) == ids[number]
    assert len({_where(client) for client in clients}) == 1
    clients[0].emit("say", {"room": ROOM, "publisher": "p", "number": 1})
    assert [client.event("said")["number"] for client in clients] == [1] * len(clients)
    if proxy.log.exists():
        assert " /socket.io/ 101 " in proxy.log.read_text()
        assert "sid=" not in proxy.log.read_text()


def _polls(proxy: Proxy, address: str) -> int:
    """Poll from an address of this machine, each time by another connection; which node that is."""
    path = "/socket.io/?EIO=4&transport=polling"

    def ask(content: str | None = None) -> str:
        transport = httpx.HTTPTransport(verify=proxy.trust, local_address=address)
        with httpx.Client(base_url=proxy.http, transport=transport, timeout=SECONDS) as client:
            answer = client.get(path) if content is None else client.post(path, content=content)
        assert answer.status_code == 200, answer.text
        return answer.text

    def until(pattern: str) -> str:
        while (found := re.search(pattern, ask())) is None:
            pass
        return found[1]

    path += "&sid=" + json.loads(ask()[1:])["sid"]
    ask('40{"token":"token-ada"}')
    until(r"(40\{)")
    ask('420["where",{}]')
    here = json.loads(until(r"430\[([^\x1e]*)\]"))["data"]
    assert here["address"].startswith(f"{address}:")
    pid: int = here["pid"]
    return pid


@pytest.mark.parametrize("kind", PROXIES)
def test_how_they_are_is_told_to_nobody(kind: str, tmp_path: Path) -> None:
    need(shutil.which(kind), f"{kind} is not installed")
    with proxying(kind, [free_port(), free_port()], tmp_path) as proxy:
        for path in ("/healthz", "/readyz"):
            assert httpx.get(proxy.http + path, verify=proxy.trust).status_code == 404
        assert httpx.get(proxy.http + "/ws", verify=proxy.trust).status_code in (502, 503)


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("nginx.conf", r"proxy_(?:read|send)_timeout (\d+)s"),
        ("haproxy.cfg", r"timeout (?:client|server|tunnel) (\d+)s"),
    ],
)
def test_they_wait_longer_than_we_do(name: str, times: str) -> None:
    settings: Any = Settings()
    found = re.findall(times, (CONFIGURATIONS / name).read_text())
    assert len(found) >= 2
    assert min(map(int, found)) > settings.ping_interval + settings.ping_timeout
