"""The TypeScript that `lbproto schema` writes, compiled strictly and run against the demo."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from lbproto.cli.demo import Replay, demo_server
from lbproto.contract import Contract, describe, json_schemas
from tests.cli.commands import Done, run, running
from tests.contract.compiling import compile_in
from tests.e2e.node import NODE, lines_of, need_node

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="queries run on Linux only")

ROOT = Path(__file__).parents[2]

NOT_ASKED = {"authenticate", "unsubscribe"}

Line = dict[str, Any]


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `lbproto schema` writes for the demo."""
    need_node()
    file = tmp_path_factory.mktemp("typed") / "lbproto.ts"
    done = run("schema", "--format", "typescript", "--output", str(file))
    assert done == Done(0, "", "")
    return file


@pytest.fixture(scope="module")
def steps(module: Path) -> Iterator[list[Line]]:
    """What the program in typed.ts printed."""
    directory = module.parent
    shutil.copy(NODE / "typed.ts", directory)
    assert compile_in(directory, "typed.ts") == ""
    with running("demo") as demo:
        yield lines_of(str(directory / "typed.js"), demo.url)


@pytest.fixture(scope="module")
def contract() -> Contract:
    """The demo's."""
    return describe(demo_server(Replay()))


def test_nothing_hangs_where_there_is_no_connection(steps: list[Line]) -> None:
    lost = {"kind": "NoAnswer", "request": "chat", "reason": "disconnect"}
    assert printed(steps, "unconnected") == [lost, lost]


def test_the_guides_program_compiles(module: Path, tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "how-to" / "contract.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```ts\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    (tmp_path / "guide.ts").write_text(program)
    shutil.copy(module, tmp_path)
    assert compile_in(tmp_path, "guide.ts") == ""


def printed(steps: list[Line], step: str) -> list[Line]:
    found = [{**line} for line in steps if line["step"] == step]
    for line in found:
        del line["step"]
    return found


def failed(request: str, code: str) -> Line:
    return {"kind": "RequestFailed", "request": request, "code": code, "retryable": False}


def test_a_request_settles_with_its_answer_or_its_typed_error(steps: list[Line]) -> None:
    assert printed(steps, "answer") == [{"isText": True}]
    assert printed(steps, "refused") == [
        failed("cancel", "NOT_FOUND"),
        failed("request_market_data", "NOT_FOUND"),
        failed("query", "UNAUTHORIZED"),
        failed("demo_echo", "INSUFFICIENT_CREDITS"),
        failed("subscribe", "INVALID_REQUEST"),
    ]


def test_a_job_is_an_async_iterator(steps: list[Line]) -> None:
    assert printed(steps, "job") == [{"first": "query_started", "rows": 1000, "total": 1000}]


def test_a_job_tells_its_progress_and_is_cancelled(steps: list[Line]) -> None:
    assert printed(steps, "progress")[0] == {"pct": "number"}
    assert printed(steps, "aborted") == [failed("query", "CANCELLED")]
    assert printed(steps, "cancelled") == [failed("query", "CANCELLED")] * 3


def test_turns_of_one_conversation_are_told_apart(steps: list[Line]) -> None:
    assert printed(steps, "turns") == [{"ids": 2, "isOver": True}]


def test_every_domain_answers_in_its_types(steps: list[Line]) -> None:
    told = {"kinds": ["number"] * 6, "text": "hello", "existed": True}
    assert printed(steps, "domains") == [told]


def test_the_maps_are_those_of_a_stock_socket(steps: list[Line]) -> None:
    assert printed(steps, "room") == [{"symbol": "ETH-USDT"}]
    room = {"event": "subscribed", "room": "market:ETH-USDT:1m"}
    assert printed(steps, "acknowledged") == [room]
    assert printed(steps, "contract") == [{"overflow": "conflate", "retryable": True}]


def test_a_job_outlives_its_connection(steps: list[Line]) -> None:
    assert printed(steps, "went on") == [{"recovered": True}, {"recovered": False}]


def test_a_job_that_begins_too_late_is_cancelled(steps: list[Line]) -> None:
    assert printed(steps, "late") == [
        {"kind": "NoAnswer", "request": "query", "reason": "timeout"},
        {"code": "CANCELLED"},
    ]


def test_nothing_hangs_when_the_connection_is_gone(steps: list[Line]) -> None:
    lost = {"kind": "NoAnswer", "reason": "disconnect"}
    assert printed(steps, "gone") == [
        {**lost, "request": "query"},
        {**lost, "request": "ping"},
        {"kind": "NoAnswer", "request": "ping", "reason": "timeout"},
    ]


def test_all_is_asked_for_and_what_answers_it_is_heard(
    steps: list[Line], contract: Contract
) -> None:
    sent, heard = ({line["event"] for line in printed(steps, way)} for way in ("sent", "heard"))
    asked = [request for request in contract.requests if request.event not in NOT_ASKED]
    assert sent == {request.event for request in asked}
    for request in asked:
        stages = {} if request.job is None else request.job.stages
        # How much progress is told depends on the moment, and few of them fail.
        told = {stages[stage] for stage in stages.keys() - {"progress", "failure"}}
        assert {*request.answers, *told} <= heard


@pytest.mark.parametrize(
    ("way", "direction"), [("sent", "clientToServer"), ("heard", "serverToClient")]
)
def test_what_went_over_the_wire_is_what_the_schemas_say(
    steps: list[Line], contract: Contract, way: str, direction: str
) -> None:
    schemas = json_schemas(contract)[direction]
    for line in printed(steps, way):
        described = schemas[line["event"]]
        Draft202012Validator.check_schema(described)
        # Every field is one that the contract tells of.
        closed = Draft202012Validator({**described, "additionalProperties": False})
        if line["data"] == {"room": ""}:  # which the server has refused
            assert not closed.is_valid(line["data"])
        else:
            closed.validate(line["data"])
