"""The contract as JSON Schemas: they take what the server takes, and refuse what it refuses."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from lbproto import Event, Model, Plugin, Server, StaticTokens, UsageError
from lbproto.contract import Contract, describe, json_schemas
from tests.contract.everything import Draw, Strict

DRAW: dict[str, Any] = {
    "shape": {"type": "circle", "radius": 1.5},
    "colour": "red",
    "from": 3,
    "place": [1, "here"],
    "tree": {"name": "oak", "children": [{"name": "twig"}]},
    "point": [1.0, 2.0],
    "labels": {"a": 1},
    "others": None,
    "when": "2026-01-20T12:00:00Z",
    "amount": "1.50",
    "token": "6a0a1d8e-4d3b-4f0e-9d0e-0a3c5d1f2b3c",
    "picture": "aGk=",
    "words": {"discriminator": "a", "prefixItems": [1], "properties": {"b": "c"}},
}


def validator(contract: Contract, direction: str, event: str) -> Draft202012Validator:
    schema = json_schemas(contract)[direction][event]
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("direction", ["clientToServer", "serverToClient"])
def test_every_schema_stands_by_itself(
    contract: Contract, published: Contract, direction: str
) -> None:
    for each in (contract, published):
        for schema in json_schemas(each)[direction].values():
            assert schema["$schema"].endswith("2020-12/schema")
            Draft202012Validator.check_schema(schema)
            targets = {f"#/$defs/{name}" for name in schema.get("$defs", ())}
            assert references(schema) == targets


def references(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(references, schema))
    if not isinstance(schema, dict):
        return set()
    own = {schema["$ref"]} if "$ref" in schema else set()
    return own.union(*map(references, schema.values()))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"ratio": 0.9, "mode": "slow"},
        {"mode": 3},
        {"mode": None, "anything": [1]},
        {"shape": {"type": "square", "side": 2}},
        {"others": {"x": {"code": 1}}},
        {"it's weird": "yes"},
        {"tree": {"name": "a", "children": [{"name": "b", "children": [{"name": "c"}]}]}},
        {"point": [1]},
        {"unknown": "is ignored"},
        {"requestId": "r-1"},
    ],
)
def test_what_the_server_takes_is_valid(contract: Contract, more: dict[str, Any]) -> None:
    payload = DRAW | more
    msgspec.json.decode(json.dumps(payload), type=Draw)
    validator(contract, "clientToServer", "shape:draw").validate(payload)


@pytest.mark.parametrize(
    "more",
    [
        {"colour": "green"},
        {"from": 10},
        {"from": "3"},
        {"place": [1]},
        {"words": {"discriminator": 1, "prefixItems": [1], "properties": {}}},
        {"words": {"discriminator": "a", "prefixItems": ["b"], "properties": {}}},
        {"words": {"discriminator": "a", "prefixItems": [1], "properties": {"b": 1}}},
        {"place": [1, "here", 2]},
        {"place": ["here", 1]},
        {"tree": {"children": []}},
        {"tree": {"name": "a", "children": [{"name": 7}]}},
        {"labels": {"a": "1"}},
        {"others": {"x": {}}},
        {"ratio": 1},
        {"mode": "other"},
        {"shape": {"type": "triangle"}},
        {"shape": {"type": "circle", "side": 1}},
        {"point": []},
        {"it's weird": []},
    ],
)
def test_what_the_server_refuses_is_not(contract: Contract, more: dict[str, Any]) -> None:
    payload = DRAW | more
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(json.dumps(payload), type=Draw)
    with pytest.raises(ValidationError):
        validator(contract, "clientToServer", "shape:draw").validate(payload)


@pytest.mark.parametrize("field", DRAW)
def test_a_required_field_is_required(contract: Contract, field: str) -> None:
    payload = {name: value for name, value in DRAW.items() if name != field}
    with pytest.raises(ValidationError):
        validator(contract, "clientToServer", "shape:draw").validate(payload)


def test_an_event_that_takes_no_other_fields(contract: Contract) -> None:
    strict = validator(contract, "clientToServer", "strict")
    strict.validate({"amountUSD": 1})
    for payload in ({"amountUSD": 1, "more": 1}, {"amountUSD": 1, "requestId": "r"}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(json.dumps(payload), type=Strict)
        with pytest.raises(ValidationError):
            strict.validate(payload)


def test_one_name_may_go_both_ways(contract: Contract) -> None:
    validator(contract, "serverToClient", "shape:draw").validate(
        {"tree": {"name": "oak"}, "rows": [[1, 2]]}
    )


def test_a_request_says_whether_it_may_have_an_id(contract: Contract) -> None:
    schemas = json_schemas(contract)["clientToServer"]
    having = [name for name, schema in schemas.items() if "requestId" in schema["properties"]]
    assert having == ["shape:draw", "walk", "rest"]


class Own:
    """A type that nothing is known of."""


class Odd(Model):
    own: Own


class Oddity(Event):
    odd: Odd


def test_a_field_that_no_schema_describes() -> None:
    plugin = Plugin("odd")
    plugin.emits(Oddity)
    with pytest.raises(
        UsageError, match=r"no schema for the events: type .*Own.*extra_json_schema"
    ):
        describe(Server([plugin], auth=StaticTokens({})))
