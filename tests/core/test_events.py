"""Events: wire names follow from Python names, and what is sent from what is declared."""

from __future__ import annotations

import types
from typing import Any

import msgspec
import pytest

from lbproto import ErrorCode, ErrorEvent, Event, Model, NotFound, RateLimited, UsageError
from lbproto.events import camel_case, event_name

PUBLISHED = {
    "RateLimitError": "rate_limit_error",
    "ValidationError": "validation_error",
    "Connected": "connected",
    "Ping": "ping",
    "Pong": "pong",
    "Subscribe": "subscribe",
    "Unsubscribe": "unsubscribe",
    "Subscribed": "subscribed",
    "Unsubscribed": "unsubscribed",
    "UserJoinedRoom": "user_joined_room",
    "UserLeftRoom": "user_left_room",
    "CreditBalanceUpdated": "credit_balance_updated",
    "CreditsDeducted": "credits_deducted",
    "CreditsGranted": "credits_granted",
    "InsufficientCredits": "insufficient_credits",
    "Query": "query",
    "QueryStarted": "query_started",
    "QueryProgress": "query_progress",
    "QueryResponse": "query_response",
    "QueryCompleted": "query_completed",
    "QueryError": "query_error",
    "RequestMarketData": "request_market_data",
    "MarketDataResponse": "market_data_response",
    "MarketChartInitialData": "market_chart_initial_data",
    "MarketChartLiveUpdate": "market_chart_live_update",
    "MarketDataError": "market_data_error",
    "AddressAnalysis": "address_analysis",
    "AddressAnalysisStarted": "address_analysis_started",
    "AddressAnalysisProgress": "address_analysis_progress",
    "AddressAnalysisResponse": "address_analysis_response",
    "AddressAnalysisCompleted": "address_analysis_completed",
    "AddressAnalysisError": "address_analysis_error",
    "AddressTransactions": "address_transactions",
    "AddressTransactionsResponse": "address_transactions_response",
    "CrossBorderFlows": "cross_border_flows",
    "CrossBorderFlowsResponse": "cross_border_flows_response",
    "Chat": "chat",
    "ChatTyping": "chat_typing",
    "ChatStopTyping": "chat_stop_typing",
    "ChatMessage": "chat_message",
    "ChatResponse": "chat_response",
    "ChatError": "chat_error",
}


def test_the_published_events_are_all_here() -> None:
    assert len(PUBLISHED) == 42


@pytest.mark.parametrize(("class_name", "wire_name"), PUBLISHED.items(), ids=PUBLISHED.values())
def test_a_published_name_falls_out_of_a_class_name(class_name: str, wire_name: str) -> None:
    event: Any = types.new_class(class_name, (Event,))
    assert event.event_name == wire_name


@pytest.mark.parametrize(
    ("class_name", "wire_name"),
    [
        ("HTTPError", "http_error"),
        ("HTTP", "http"),
        ("GetURLForSQL", "get_url_for_sql"),
        ("AmountInUSD", "amount_in_usd"),
        ("Utf8Text", "utf8_text"),
        ("A", "a"),
    ],
)
def test_acronyms_are_one_word(class_name: str, wire_name: str) -> None:
    assert event_name(class_name) == wire_name


def test_an_explicit_name_is_kept_and_is_not_inherited() -> None:
    class Order(Event, event="order:created"):
        symbol: str

    class LimitOrder(Order):
        limit: float

    assert Order.event_name == "order:created"
    assert LimitOrder.event_name == "limit_order"
    assert Order(symbol="X").event_name == "order:created"
    assert "event_name" not in Order.__struct_fields__


@pytest.mark.parametrize("name", ["", "e" * 129], ids=["empty", "too long"])
def test_a_name_that_none_can_have_is_a_mistake(name: str) -> None:
    with pytest.raises(UsageError, match=r"Order: an event's name has 1 to 128 characters, not \d"):

        class Order(Event, event=name):
            pass


def test_a_name_may_be_as_long_as_is_said() -> None:
    class Order(Event, event="e" * 128):
        pass

    assert Order.event_name == "e" * 128


@pytest.mark.parametrize(
    ("field", "wire_name"),
    [
        ("room", "room"),
        ("next_cursor", "nextCursor"),
        ("amount_usd", "amountUSD"),
        ("totals_usd", "totalsUSD"),
        ("value_usd_total", "valueUSDTotal"),
        ("usd", "usd"),
        ("from_", "from"),
        ("tx_hash_", "txHash"),
        ("retry_after", "retryAfter"),
    ],
)
def test_fields_are_camel_case_and_keep_the_capitals_of_usd(field: str, wire_name: str) -> None:
    assert camel_case(field) == wire_name


class Leg(Model):
    from_: str
    amount_usd: float = 0.0


class Page(Event):
    legs: list[Leg]
    next_cursor: str | None
    page_size: int = 50
    note: str | None = None


def test_what_has_no_default_is_sent_even_when_it_is_null() -> None:
    page = Page(legs=[Leg(from_="US")], next_cursor=None)
    assert msgspec.to_builtins(page) == {"legs": [{"from": "US"}], "nextCursor": None}


def test_what_has_a_default_is_left_out_while_it_has_it() -> None:
    page = Page(legs=[], next_cursor="x", page_size=51, note="n")
    sent = msgspec.json.decode(msgspec.json.encode(page))
    assert sent == {"legs": [], "nextCursor": "x", "pageSize": 51, "note": "n"}


@pytest.mark.parametrize("codec", [msgspec.json, msgspec.msgpack])
def test_unknown_fields_are_ignored_in_both_codecs(codec: Any) -> None:
    data = {"legs": [{"from": "US", "later": 1}], "nextCursor": None, "alsoLater": {"a": [1]}}
    page = codec.decode(codec.encode(data), type=Page)
    assert page == Page(legs=[Leg(from_="US")], next_cursor=None)


def test_events_are_values() -> None:
    leg = Leg(from_="US")
    with pytest.raises(AttributeError):
        leg.from_ = "NG"  # type: ignore[misc]
    assert leg == Leg(from_="US")


# Error events


class PlainError(ErrorEvent, kw_only=True):
    """Nothing but the envelope."""


class QueryError(ErrorEvent, kw_only=True):
    query_id: str
    event: str = ""


def test_an_error_event_is_the_envelope_of_an_error() -> None:
    assert msgspec.to_builtins(PlainError.of(NotFound("no table"))) == {
        "code": "NOT_FOUND",
        "message": "no table",
    }
    throttled = PlainError.of(RateLimited("slow down", retry_after=0.2))
    assert msgspec.to_builtins(throttled) == {
        "code": "RATE_LIMITED",
        "message": "slow down",
        "retryAfter": 1,
    }


def test_an_error_event_takes_the_fields_it_has_and_ignores_the_others() -> None:
    error = QueryError.of(NotFound("gone"), query_id="q1", event="query", sql="SELECT 1")
    assert error == QueryError(
        code=ErrorCode.NOT_FOUND, message="gone", query_id="q1", event="query"
    )


def test_a_field_of_the_request_never_replaces_the_envelope() -> None:
    """`chat` has a field `message`; its refusal has one too, and they are not the same."""
    error = PlainError.of(NotFound("no such conversation"), message="hello", code="?")
    assert error == PlainError(code=ErrorCode.NOT_FOUND, message="no such conversation")


def test_an_error_event_that_cannot_be_filled_says_how_to_mend_it() -> None:
    with pytest.raises(UsageError, match=r"QueryError cannot carry .*query_id.* a default"):
        QueryError.of(NotFound("gone"))
