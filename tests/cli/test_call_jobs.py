"""Requests that are jobs: followed to their end, shown as they go, cancelled by Ctrl-C."""

from __future__ import annotations

import json
import signal
import sys

import pytest

from tests.cli.commands import Running, finish, run, started

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="queries run on Linux only")

FIVE = json.dumps({"sql": "SELECT side, price FROM trades ORDER BY id LIMIT 5"})
ENDLESS = json.dumps({"sql": "SELECT count(*) FROM range(10000000) a, range(10000000) b"})


def test_a_job_is_followed_to_its_end(demo: Running) -> None:
    done = run("call", "query", FIVE, "--url", demo.url, "--json")
    names = [line["event"] for line in done.lines if line["event"] != "query_progress"]
    assert names == ["query_started", "query_response", "query_completed"]
    assert done.lines[-1]["data"]["totalRows"] == 5
    assert (done.code, done.err) == (0, "")


def test_rows_are_a_table(demo: Running) -> None:
    request = json.dumps({**json.loads(FIVE), "rowFormat": "arrays"})
    outs = [run("call", "query", each, "--url", demo.url).out for each in (FIVE, request)]
    for out in outs:
        started, response, header, _, *rows, completed = out.splitlines()
        assert started.startswith("query_started  queryId=")
        assert response.startswith("query_response  queryId=")
        assert header.split() == ["side", "price"]
        assert rows[0].split() == ["buy", "1666.80000000"]
        assert len(rows) == 5
        assert completed.endswith("totalRows=5")


def test_a_query_that_is_refused(demo: Running) -> None:
    done = run("call", "query", '{"sql": "DROP TABLE trades"}', "--url", demo.url)
    assert done.code == 1
    assert done.out.startswith("query_error  ")
    assert "code=UNAUTHORIZED" in done.out


def test_ctrl_c_cancels_it(demo: Running) -> None:
    with started("call", "query", ENDLESS, "--url", demo.url, "--json") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "query_started"
        process.send_signal(signal.SIGINT)
        done = finish(process)
    last = json.loads(done.out.splitlines()[-1])
    assert (last["event"], last["data"]["code"]) == ("query_error", "CANCELLED")
    assert (done.code, done.err) == (1, "")
