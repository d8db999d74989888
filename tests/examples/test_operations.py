"""The example of a host that is operated: what its operator finds after a failure."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest

from tests.cli.commands import SECONDS, run
from tests.examples.test_examples import EXAMPLES, FROM_EXAMPLES, alice, exchange
from tests.serving import serving


def test_a_failure_can_be_looked_up_and_played_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INCIDENTS", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES))
    with serving("operations:app", options=FROM_EXAMPLES) as server:
        assert httpx.get(f"{server.http}/readyz").json()["status"] == "ready"
        with alice(server.ws) as socket:
            assert exchange(socket, "divide", {"by": 3})["data"] == {"value": 4.0}
            told = exchange(socket, "divide", {"by": 0})["data"]["message"]
        incident = told.rpartition(" ")[2]
        server.wait_logged(f'"incident":"{incident}"')
        (line,) = (json.loads(line) for line in server.log.splitlines() if f'"{incident}"' in line)
        assert line["event"] == "divide"
        assert "ZeroDivisionError" in line["exception"]
        file = tmp_path / f"incident-{incident}.jsonl"
        end = time.monotonic() + SECONDS
        while not file.exists():
            assert time.monotonic() < end
            time.sleep(0.01)
    done = run("replay", str(file), "operations:server")
    assert (done.code, done.err.count("Traceback")) == (0, 1)
    assert "= quotient\n= error  INTERNAL\n" in done.out
