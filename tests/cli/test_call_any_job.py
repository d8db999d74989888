"""Requests that are jobs whose events have names of all kinds: each is followed to its end."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from tests.cli.commands import Running, finish, running, started
from tests.cli.conftest import Main


@pytest.fixture(scope="module")
def reports() -> Iterator[Running]:
    with running("serve", "tests.cli.reports:server") as server:
        yield server


@pytest.mark.parametrize(
    ("request_", "way", "names"),
    [
        ("make_report", "well", ["report_started", "page_one", "report_is_ready"]),
        ("make_report", "fails", ["report_started", "page_one", "report_went_wrong"]),
        ("make_draft", "well", ["draft_began", "report_is_ready"]),
        ("silently", "well", ["page_one"]),
        ("keyed", "well", ["keyed_started", "keyed_is_ready"]),
        ("keyed", "fails", ["keyed_started", "keyed_went_wrong"]),
    ],
)
def test_it_is_followed_to_its_end(
    run_here: Main, reports: Running, request_: str, way: str, names: list[str]
) -> None:
    data = json.dumps({"way": way})
    done = run_here("call", request_, data, "--url", reports.url, "--token", "secret", "--json")
    assert [line["event"] for line in done.lines] == names
    assert {line["re"] for line in done.lines} == {1}
    assert (done.code, done.err) == (int(way == "fails"), "")


def test_one_that_is_silent_meanwhile_is_asked_about_and_tells_nothing_twice(
    run_here: Main, reports: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbproto.cli.following._FIRST_ASK_SECONDS", 0.01)
    data = '{"way": "slowly"}'
    done = run_here(
        "call", "make_report", data, "--url", reports.url, "--token", "secret", "--json"
    )
    names = [line["event"] for line in done.lines]
    assert names == ["report_started", "page_one", "report_is_ready"]


@pytest.mark.parametrize("request_", ["make_report", "make_draft", "keyed"])
def test_ctrl_c_cancels_it(reports: Running, request_: str) -> None:
    words = ("call", request_, '{"way": "long"}', "--url", reports.url, "--token", "secret")
    with started(*words, "--json") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        done = finish(process)
    assert done.lines[-1]["data"]["code"] == "CANCELLED"
    assert (done.code, done.err) == (1, "")


def test_what_is_called_like_the_begin_of_a_job_and_is_none(
    run_here: Main, reports: Running
) -> None:
    done = run_here(
        "call", "start_timer", '{"name": "tea"}', "--url", reports.url, "--token", "secret"
    )
    assert (done.code, done.out, done.err) == (0, "timer_started  name=tea  timerId=t-1\n", "")


def test_one_that_no_event_names_is_given_up(
    run_here: Main, reports: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbproto.cli.following._GIVE_UP_SECONDS", 0.1)
    data = json.dumps({"way": "long", "batch": "b-1"})
    done = run_here("call", "grouped", data, "--url", reports.url, "--token", "secret")
    assert (done.code, done.out) == (2, "batch_started  batch=b-1\n")
    assert "nothing has come for 0.1 s since 'batch_started', which names no job" in done.err
