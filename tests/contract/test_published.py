"""The published events, one by one: names, directions and fields, as the plugins declare them."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

from lbproto import Server, StaticTokens
from lbproto.contract import EventEntry, events
from tests.contract.published import FROM_SERVER, TO_SERVER


@pytest.fixture(scope="module")
def declared() -> dict[str, EventEntry]:
    """All events of a server with all plugins, by name."""
    plugins = [entry.load()() for entry in entry_points(group="lbproto.plugins")]
    return {entry.name: entry for entry in events(Server(plugins, auth=StaticTokens({})).registry)}


def fields(entry: EventEntry) -> set[str]:
    return set() if entry.payload == "(nothing)" else set(entry.payload[1:-1].split(", "))


def test_all_are_counted() -> None:
    assert len(TO_SERVER) + len(FROM_SERVER) == 42


@pytest.mark.parametrize("name", TO_SERVER)
def test_a_request_asks_for_what_is_published(declared: dict[str, EventEntry], name: str) -> None:
    assert declared[name].inbound
    published = set(TO_SERVER[name].split())
    own, known = fields(declared[name]), {field.rstrip("?") for field in published}
    assert known <= {field.rstrip("?") for field in own}
    # A client that sends what was published is never refused for want of anything else.
    assert {field for field in own if not field.endswith("?")} <= published


@pytest.mark.parametrize("name", FROM_SERVER)
def test_what_is_sent_has_the_published_fields_always(
    declared: dict[str, EventEntry], name: str
) -> None:
    assert not declared[name].inbound
    assert set(FROM_SERVER[name].split()) <= fields(declared[name])
