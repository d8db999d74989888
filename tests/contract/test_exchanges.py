"""The exchanges that the event reference shows, had with a real server, and looked at.

With `LBPROTO_TEST_RECORD=1` in the environment they are recorded anew.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from difflib import unified_diff
from typing import NamedTuple

import pytest
from jsonschema import Draft202012Validator

from lbproto.contract import Contract, json_schemas
from tests.contract.exchanges.client import Exchange, Frame
from tests.contract.exchanges.normalising import normalised
from tests.contract.exchanges.records import DIRECTORY, encode, path_of
from tests.contract.exchanges.scenarios import MALFORMED, SCENARIOS, Stage
from tests.contract.published import FROM_SERVER, TO_SERVER
from tests.serving import serving

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="queries run on Linux only")

RECORD = "LBPROTO_TEST_RECORD"
AGAIN = f"record it anew by {RECORD}=1 pytest tests/contract/test_exchanges.py, and look at it"


class Played(NamedTuple):
    """What came of all scenarios: the exchanges by event, and every frame of every client."""

    exchanges: dict[str, Exchange]
    frames: list[Frame]

    def of(self, event: str) -> list[Frame]:
        return [frame for frame in self.frames if frame.event == event]


@pytest.fixture(scope="module")
def played() -> Played:
    exchanges: dict[str, Exchange] = {}
    frames: list[Frame] = []
    with serving("tests.contract.exchanges.app:app") as server:
        for scenario in SCENARIOS:
            with ExitStack() as stack:
                stage = Stage(server.ws, stack)
                for exchange in scenario(stage):
                    assert exchange.event not in exchanges
                    exchanges[exchange.event] = exchange
                for client in stage.clients:
                    lines = [*client.handshake, *client.lines]
                    frames += [line for line in lines if isinstance(line, Frame)]
    return Played(exchanges, frames)


@pytest.mark.parametrize("name", TO_SERVER)
def test_a_published_request_is_made_as_it_was_published(played: Played, name: str) -> None:
    assert name in events(played.exchanges[name])
    fields = TO_SERVER[name].split()
    for frame in played.of(name):
        assert frame.sender == "client"
        assert required(fields) <= set(frame.payload) <= {field.rstrip("?") for field in fields}


@pytest.mark.parametrize("name", FROM_SERVER)
def test_a_published_event_comes_as_it_was_published(played: Played, name: str) -> None:
    assert events(played.exchanges[name])[-1] == name
    for frame in played.of(name):
        assert frame.sender == "server"
        assert required(FROM_SERVER[name].split()) <= set(frame.payload)


def test_every_frame_is_what_the_schemas_say(played: Played, published: Contract) -> None:
    schemas = json_schemas(published)
    refused = 0
    for frame in played.frames:
        if not frame.event:
            continue
        way = "clientToServer" if frame.sender == "client" else "serverToClient"
        # Every field is one that the contract tells of.
        described = {**schemas[way][frame.event], "additionalProperties": False}
        errors = list(Draft202012Validator(described).iter_errors(frame.payload))
        refused += bool(errors)
        assert not errors or frame.payload == MALFORMED, (frame, errors)
    assert refused == 1  # which the server has refused, too


def test_every_exchange_is_of_an_event_that_there_is(played: Played, published: Contract) -> None:
    requests = {each.event for each in published.requests}
    known = requests | {each.event for each in published.events}
    assert {*TO_SERVER, *FROM_SERVER} <= played.exchanges.keys() <= known


def test_the_documentation_shows_what_was_told(played: Played) -> None:
    told = {name: encode(normalised(exchange)) for name, exchange in played.exchanges.items()}
    if RECORD in os.environ:
        for path in DIRECTORY.glob("*.json"):
            path.unlink()
        for name, text in told.items():
            path_of(name).write_text(text, encoding="utf-8")
    kept = {path.stem: path.read_text(encoding="utf-8") for path in DIRECTORY.glob("*.json")}
    assert kept.keys() == told.keys(), AGAIN
    for name, text in told.items():
        lines = unified_diff(kept[name].split("\n"), text.split("\n"), "kept", "told", lineterm="")
        assert kept[name] == text, "\n".join([f"{name}: {AGAIN}", *lines])


def events(exchange: Exchange) -> list[str]:
    """The names of all that went over the wire, in order."""
    return [line.event for line in exchange.lines if isinstance(line, Frame) and line.event]


def required(fields: list[str]) -> set[str]:
    return {field for field in fields if not field.endswith("?")}
