"""The contract as AsyncAPI 3.0: valid by the official parser, and nothing of it left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lbproto import Server, StaticTokens, UsageError
from lbproto.contract import Contract, asyncapi, describe
from tests.contract.conftest import Document
from tests.e2e.node import lines_of, need_node


def operation(document: Document, name: str) -> Document:
    found: Document = document["operations"][name]
    return found


def names(references: list[Document]) -> list[str]:
    return [each["$ref"].rpartition("/")[2] for each in references]


def test_the_official_parser_finds_no_fault(
    tmp_path: Path, document: Document, published: Contract
) -> None:
    need_node()
    documents = {"everything": document, "published": asyncapi(published)}
    files = [tmp_path / name for name in documents]
    for file, each in zip(files, documents.values(), strict=True):
        file.write_text(json.dumps(each))
    for line, each in zip(
        lines_of("asyncapi.mjs", *map(str, files)), documents.values(), strict=True
    ):
        assert [problem for problem in line["problems"] if problem["severity"] < 2] == []
        assert line["version"] == "3.0.0"
        assert line["operations"] == list(each["operations"])
        assert len(line["channels"]) == len(each["channels"])
        assert {"ping", "pong", "acknowledgement"} <= set(line["messages"])


def test_a_request_tells_its_price_weight_and_answers(document: Document) -> None:
    draw = operation(document, "receive.shape_draw")
    assert draw["action"] == "receive"
    assert names(draw["messages"]) == ["request.shape_draw"]
    assert names(draw["reply"]["messages"]) == [
        "event.shape_draw",
        "event.silent",
        "event.error",
        "event.rate_limit_error",
        "event.validation_error",
        "event.insufficient_credits",
        "acknowledgement",
    ]
    told = draw["x-lbproto"]
    assert (told["price"], told["weight"], told["counted"]) == (2, 5, "session")
    assert told["timeout"] == 7.5
    assert "It may take 7.5 s.\n\nIt costs 2 credits." in draw["description"]
    assert operation(document, "receive.strict")["x-lbproto"]["price"] == "varies"


def test_a_job_tells_its_lifecycle(document: Document) -> None:
    walk = operation(document, "receive.walk")
    assert walk["x-lbproto"]["job"] == {
        "start": "walk_started",
        "progress": "walking",
        "output": "step",
        "beforeTerminal": "walk_stopping",
        "success": "walked",
        "failure": "walk_error",
        "closes": True,
        "id": "walkId",
        "group": "pathId",
        "waiting": 2,
        "timeout": 30.0,
    }
    messages = document["components"]["messages"]
    located = {name: messages[f"event.{name}"].get("correlationId", {}).get("location")
               for name in ("step", "walking", "pong")}  # fmt: skip
    named = {"step": "walkId", "walking": "pathId"}
    assert located == {
        **{name: f"$message.payload#/{field}" for name, field in named.items()},
        "pong": None,
    }


def test_an_event_tells_what_becomes_of_it_where_a_client_is_slow(document: Document) -> None:
    policies = [
        operation(document, f"send.{name}")["x-lbproto"]["overflow"]
        for name in ("walking", "silent", "pong")
    ]
    assert policies == ["conflate", "drop_oldest", "disconnect"]


def test_a_room_is_a_channel(document: Document) -> None:
    personal, odd = (channel for channel in document["channels"].values() if "x-lbproto" in channel)
    assert personal["address"] == "user:{user_id}"
    assert list(personal["parameters"]) == ["user_id"]
    assert odd["address"] is None  # it has a "?", which no address may have
    assert odd["x-lbproto"]["pattern"] == "what?{topic}/`{rest*}"
    assert odd["x-lbproto"]["refused"] == "lost"
    assert list(odd["messages"]) == ["event.silent"]


def test_errors_and_limits_are_told(document: Document) -> None:
    own = document["x-lbproto"]
    assert own["codes"]["OVERLOADED"]["retryable"] is True
    assert own["codes"]["NOT_FOUND"]["retryable"] is False
    assert own["limits"]["defaultTier"] == "pro"
    assert own["limits"]["tiers"]["free"][0] == {"number": 60, "seconds": 60, "burst": 30}
    assert own["limits"]["tiers"]["unlimited"] == []
    assert own["limits"]["maxRooms"] == 128
    assert "300 in 60 s" in document["info"]["description"]


def test_there_is_a_server_only_where_the_host_says_so(
    contract: Contract, document: Document
) -> None:
    assert "servers" not in asyncapi(contract)
    shown = [
        (server["protocol"], server["host"], server["pathname"])
        for server in document["servers"].values()
    ]
    host = "wss", "example.com"
    assert shown == [(*host, "/live/socket.io"), (*host, "/live/ws")]
    moved = asyncapi(contract, url="wss://example.com", socketio_path="/rt/", websocket_path=None)
    assert [server["pathname"] for server in moved["servers"].values()] == ["/rt"]


@pytest.mark.parametrize(
    "url", ["example.com", "ftp://example.com", "ws://", "ws://me:pw@host", ""]
)
def test_an_address_that_is_none(contract: Contract, url: str) -> None:
    with pytest.raises(UsageError, match="is not a server address"):
        asyncapi(contract, url=url)


def test_schemas_are_in_the_dialect_of_asyncapi(document: Document) -> None:
    draw: dict[str, Any] = document["components"]["schemas"]["Draw"]["properties"]
    assert draw["place"]["items"] == [{"type": "integer"}, {"type": "string"}]
    assert draw["place"]["additionalItems"] is False
    assert draw["shape"]["discriminator"] == "type"


def test_a_server_without_plugins_and_limits_has_a_contract() -> None:
    bare = asyncapi(describe(Server(auth=StaticTokens({}), recovery=None)))
    assert bare["x-lbproto"]["limits"].keys() == {"maxRooms", "maxJobs", "maxPayload"}
    assert "receive.ping" in bare["operations"]
