"""`lbproto serve --workers`: stock clients of processes that share a port, over a Valkey."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from lbproto.cli.config import Config
from lbproto.cli.configuring import Configured
from lbproto.cli.failure import Failure
from lbproto.cli.launch import serve_as_worker
from lbproto.cli.link import Link
from lbproto.recorder import decode
from tests.cli.commands import SECONDS, Running, running, started
from tests.cli.conftest import Main, logging_as_before, run_here
from tests.e2e.node import NodeClient
from tests.ledger.servers import Valkey

__all__ = ["logging_as_before", "run_here"]  # fixtures

APP = "tests.e2e.working:make"
WEBSOCKET = {"transports": ["websocket"], "auth": {"token": "ada"}}
MANY = 40  # clients that connect at most until every worker has one


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The socket by which recordings are asked for."""
    return tmp_path_factory.mktemp("workers") / "control.sock"


@pytest.fixture(scope="module")
def server(valkey: Valkey, control: Path) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LBPROTO_RECORD_CONTROL", str(control))
        environment.setenv("LBPROTO_LOG_LEVEL", "critical")
        with running("serve", APP, "--workers", "2", "--pubsub", valkey.url) as server:
            yield server


@contextmanager
def clients_of_all(server: Running) -> Iterator[dict[int, NodeClient]]:
    """A stock client of each worker, by the worker's process."""
    with ExitStack() as stack:
        found: dict[int, NodeClient] = {}
        for _ in range(MANY):
            client = stack.enter_context(NodeClient.connecting(server.url, **WEBSOCKET))
            client.until(happened="connect")
            found.setdefault(client.call("where", {})["data"]["pid"], client)
            if len(found) == 2:
                yield found
                return
        raise AssertionError(f"all {MANY} clients came to one worker")


def test_stock_clients_of_different_workers_hear_each_other(node: None, server: Running) -> None:
    with clients_of_all(server) as found:
        for client in found.values():
            assert client.call("subscribe", {"room": "hall"})["ok"]
        for pid, client in found.items():
            client.emit("shout", {"text": f"from {pid}"})
            for listener in found.values():
                assert listener.event("shouted") == {"text": f"from {pid}", "pid": pid}


def test_sessions_of_all_workers_are_recorded(
    node: None, server: Running, control: Path, run_here: Main
) -> None:
    with clients_of_all(server) as found:
        recorded = run_here("record", "start", "--control", str(control)).lines
        assert len(recorded) >= 2
        for client in found.values():
            client.call("where", {})
        done = run_here("record", "get", "--control", str(control), "--out", str(control.parent))
        recordings = [decode(Path(file).read_bytes()) for file in done.out.split()]
        pids = {row.data["pid"] for each in recordings for row in each.rows if row.event == "here"}
        assert pids == set(found)
        assert run_here("record", "stop", "--control", str(control)).lines == []


def test_a_client_that_would_poll_is_told_to_take_websockets(node: None, server: Running) -> None:
    with NodeClient.connecting(server.url, auth={"token": "ada"}, reconnection=False) as client:
        assert client.until(happened="connect_error")["message"] == "xhr poll error"
    http = server.url.replace("ws", "http", 1)
    answer = httpx.get(f"{http}/socket.io/?EIO=4&transport=polling")
    assert (answer.status_code, answer.json()) == (
        400,
        {
            "code": 0,
            "message": 'This server takes websockets only: set transports: ["websocket"]',
        },
    )
    assert httpx.get(f"{http}/readyz").json()["status"] == "ready"


def test_a_worker_that_dies_is_replaced_and_its_clients_come_back(
    node: None, server: Running
) -> None:
    with clients_of_all(server) as found:
        (pid, client), (other, witness) = found.items()
        assert witness.call("subscribe", {"room": "hall"})["ok"]
        os.kill(pid, signal.SIGKILL)
        client.until(happened="disconnect", reason="transport close")
        client.until(happened="connect")
        assert client.call("where", {})["data"]["pid"] != pid
        client.emit("shout", {"text": "back"})
        assert witness.event("shouted")["text"] == "back"
    with clients_of_all(server) as found:
        assert pid not in found
        assert other in found


def test_workers_without_a_broker_are_refused(logging_as_before: None) -> None:
    config = Config(app=APP, workers=2)
    ours, theirs = socket.socketpair()
    with (
        ours,
        closing(Link(theirs.detach())) as link,
        pytest.raises(Failure, match="several workers need a broker between them"),
    ):
        serve_as_worker(Configured(config, {}), [], link)


def test_a_server_that_cannot_be_made_is_told_once_in_the_format_of_logs() -> None:
    made = ("tests.e2e.working:misused", "--workers", "2", "--log-format", "json", "--port", "0")
    with started("serve", *made) as process:
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (2, "")
    (line,) = err.splitlines()
    assert json.loads(line)["level"] == "critical"


def test_a_busy_port_is_told(server: Running, run_here: Main) -> None:
    done = run_here("serve", APP, "--workers", "2", "--port", str(server.port))
    assert done.err.startswith(f"lbproto: port {server.port} is in use")


# The last: it ends the server of the others.


def test_all_end_with_the_one_that_started_them(server: Running) -> None:
    workers = psutil.Process(server.pid).children(recursive=True)
    assert len(workers) == 2
    server.signal(signal.SIGKILL)
    _gone, alive = psutil.wait_procs(workers, timeout=SECONDS)
    assert not alive
