"""The published events, one by one: names, directions and fields, as the plugins declare them."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

from lbproto import Server, StaticTokens
from lbproto.contract import EventEntry, events

# As they were published: a field with a question mark may be left out.
TO_SERVER = {
    "ping": "",
    "subscribe": "room",
    "unsubscribe": "room",
    "query": "sql params? applicationId",
    "request_market_data": "symbol resolution venues? window?",
    "address_analysis": "chain address hops?",
    "address_transactions": "chain address limit? cursor?",
    "cross_border_flows": "corridor window",
    "chat": "conversationId message context?",
}
FROM_SERVER = {
    "connected": "userId sid timestamp",
    "pong": "timestamp",
    "subscribed": "room subscriberCount",
    "unsubscribed": "room",
    "user_joined_room": "userId room joinedAt",
    "user_left_room": "userId room leftAt",
    "rate_limit_error": "code message",
    "validation_error": "code message",
    "credit_balance_updated": "newBalance lifetimeEarned lifetimeSpent applicationId",
    "credits_deducted": "amount newBalance action transactionId timestamp",
    "credits_granted": "amount newBalance reason transactionId timestamp",
    "insufficient_credits": "required available action",
    "query_started": "queryId estimatedMs",
    "query_progress": "queryId rowsProcessed pct",
    "query_response": "queryId rows schema",
    "query_completed": "queryId durationMs totalRows",
    "query_error": "queryId code message",
    "market_data_response": "symbol candles",
    "market_chart_initial_data": "symbol series",
    "market_chart_live_update": "symbol open high low close volume timestamp",
    "market_data_error": "code message",
    "address_analysis_started": "jobId",
    "address_analysis_progress": "jobId stage pct",
    "address_analysis_response": "jobId riskScore riskLevel clusters signals",
    "address_analysis_completed": "jobId durationMs",
    "address_analysis_error": "jobId code message",
    "address_transactions_response": "chain address transactions nextCursor",
    "cross_border_flows_response": "corridor flows totalsUSD",
    "chat_typing": "conversationId",
    "chat_stop_typing": "conversationId",
    "chat_message": "conversationId role delta isFinal",
    "chat_response": "conversationId messageId tokens sql?",
    "chat_error": "conversationId code message",
}


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
