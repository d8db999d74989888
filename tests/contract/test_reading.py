"""Documents come from anywhere: what is not a contract is refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproto.contract import Contract, NotAContract, asyncapi, diff, read
from tests.contract.conftest import Document


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def test_a_contract_is_read_as_it_was_written(contract: Contract, document: Document) -> None:
    found = read(encoded(document))
    assert msgspec.structs.replace(found, schemas=contract.schemas) == contract
    assert found.schemas.keys() == contract.schemas.keys()
    rewritten = asyncapi(found, url="https://example.com/live/")
    assert read(msgspec.json.encode(rewritten)) == found


@pytest.mark.parametrize(
    "text",
    [b"", b"\xff", b"null", b"[]", b"{}", b'{"asyncapi": "3.0.0"}', b"[" * 100_000, b'"\\ud800"'],
)
def test_what_is_no_document(text: bytes) -> None:
    with pytest.raises(NotAContract, match="not a contract written by lbproto"):
        read(text)


def with_(change: Callable[[Document], Any]) -> Callable[[Document], Document]:
    def changed(document: Document) -> Document:
        copied: Document = json.loads(json.dumps(document))
        change(copied)
        return copied

    return changed


def nested(document: Document) -> None:
    schema: Any = {}
    for _ in range(400):
        schema = {"type": "array", "items": schema}
    document["components"]["schemas"]["Ping"] = schema


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (with_(lambda d: d["x-lbproto"].update(format=2)), "its format is 2"),
        (with_(lambda d: d.pop("x-lbproto")), "x-lbproto"),
        (with_(lambda d: d["components"]["schemas"].pop("Tree")), "no schema 'Tree'"),
        (with_(lambda d: d["operations"]["receive.walk"].update({"x-lbproto": 1})), "got `int`"),
        (
            with_(lambda d: d["operations"]["receive.walk"]["x-lbproto"].pop("event")),
            "field `event`",
        ),
        (with_(lambda d: d["components"]["schemas"].update(Ping=[])), "got `array`"),
    ],
)
def test_what_is_not_as_lbproto_writes_it(
    document: Document, change: Callable[[Document], Document], why: str
) -> None:
    with pytest.raises(NotAContract, match=why):
        read(encoded(change(document)))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": 7},
        {"properties": []},
        {"required": "a"},
        {"anyOf": {}},
        {"minimum": "1"},
        {"enum": 1},
    ],
)
def test_a_schema_that_is_none(document: Document, schema: Any) -> None:
    changed = with_(lambda d: d["components"]["schemas"].update(Ping=schema))(document)
    with pytest.raises(NotAContract, match="a schema is not one that lbproto writes"):
        diff(read(encoded(document)), read(encoded(changed)))


def test_schemas_without_an_end(document: Document) -> None:
    round_ = {"$ref": "#/components/schemas/Ping"}
    changed = with_(lambda d: d["components"]["schemas"].update(Ping=round_))(document)
    assert diff(read(encoded(changed)), read(encoded(changed))) == []
    deep = with_(nested)(document)
    with pytest.raises(NotAContract, match="nested too deeply"):
        diff(read(encoded(deep)), read(encoded(deep)))


PLACES = st.lists(st.integers(0, 10**6), min_size=1, max_size=8)
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1.5, "", "x" * 200, [], {}, [{}], {"$ref": "#/x"}]
)


@given(place=PLACES, value=VALUES)
@settings(max_examples=80, deadline=None)
def test_anything_anywhere_is_read_or_refused(
    document: Document, place: list[int], value: Any
) -> None:
    changed = json.loads(json.dumps(document))
    spot: Any = changed
    for step in place:
        keys = list(spot) if isinstance(spot, dict) else range(len(spot))
        inner = [key for key in keys if isinstance(spot[key], dict | list) and spot[key]]
        if not inner:
            break
        spot = spot[inner[step % len(inner)]]
    keys = list(spot) if isinstance(spot, dict) else range(len(spot))
    spot[keys[place[0] % len(keys)]] = value
    with suppress(NotAContract):
        found = read(encoded(changed))
        diff(found, found)
