"""What clients do, so that every published event goes over the wire, and some extensions too.

A scenario yields an exchange whenever what was told until then shows an event: its last line has
it, where the server sends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

from tests.contract.exchanges.app import ENDLESS, SYMBOL
from tests.contract.exchanges.client import Client, Exchange
from tests.contract.exchanges.payments import CHAIN, NOBODY, TRADER

__all__ = ["MALFORMED", "SCENARIOS", "Stage"]

COUNT = {
    "sql": "SELECT side, count(*) AS trades FROM trades GROUP BY side ORDER BY side",
    "applicationId": "default",
}
LONG = {
    "sql": "SELECT count(*) AS pairs FROM range(10000000) a, range(10000000) b",
    "applicationId": "default",
}
MALFORMED = {"room": 7}
ROOM, OTHER_ROOM, CHART = "desk:rates", "desk:swaps", f"market:{SYMBOL}"


class Stage:
    """Where scenarios are played.

    Args:
        url: of the server, `ws://…`.
        stack: closes the clients.

    Attributes:
        clients: all that were there.
    """

    def __init__(self, url: str, stack: ExitStack) -> None:
        self._url = url
        self._stack = stack
        self.clients: list[Client] = []
        self._backstage = stack.enter_context(Client.connecting(url, "backstage"))

    def client(self, name: str, **resumed: str) -> Client:
        """A new one; see `Client.connecting`."""
        client = self._stack.enter_context(Client.connecting(self._url, name, **resumed))
        self.clients.append(client)
        return client

    def behind(self, event: str, **data: object) -> None:
        """Have something happen that no client asks for."""
        self._backstage.send(event, data)


def connecting(stage: Stage) -> Iterator[Exchange]:
    yield Exchange("connected", stage.client("alice").handshake)


def going_on(stage: Stage) -> Iterator[Exchange]:
    alice, bob = stage.client("alice"), stage.client("bob")
    alice.send("subscribe", {"room": "desk:bonds"})
    alice.until("subscribed")
    alice.lose()
    bob.send("subscribe", {"room": "desk:bonds"})
    bob.until("subscribed")
    alice = stage.client("alice", **alice.resumed)
    alice.until("recovered")
    yield Exchange("recovered", [*alice.handshake, *alice.lines])


def coming_too_late(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice", pid="long-gone")
    alice.until("session_lost")
    yield Exchange("session_lost", [*alice.handshake, *alice.lines])


def renewing(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    alice.send("authenticate", {"token": "Bearer token-alice"}, ack="1")
    alice.acknowledged()
    yield alice.told("authenticate")


def pinging(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    alice.send("ping")
    alice.until("pong")
    yield alice.told("ping")
    yield alice.told("pong")


def rooms(stage: Stage) -> Iterator[Exchange]:
    alice, bob = stage.client("alice"), stage.client("bob")
    alice.send("subscribe", {"room": ROOM})
    alice.until("subscribed")
    yield alice.told("subscribe")
    yield alice.told("subscribed")

    alice.note(f"bob subscribes to {ROOM}")
    bob.send("subscribe", {"room": ROOM})
    alice.until("user_joined_room")
    yield alice.told("user_joined_room")

    alice.note(f"bob unsubscribes from {ROOM}")
    bob.send("unsubscribe", {"room": ROOM})
    alice.until("user_left_room")
    yield alice.told("user_left_room")


def leaving(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    alice.send("subscribe", {"room": OTHER_ROOM})
    alice.until("subscribed")
    alice.send("unsubscribe", {"room": OTHER_ROOM})
    alice.until("unsubscribed")
    yield alice.told("unsubscribe")
    yield alice.told("unsubscribed")


def malformed(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    alice.send("subscribe", MALFORMED)
    alice.until("validation_error")
    yield alice.told("validation_error")


def nowhere(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    alice.send("subscribe", {"room": "attic"})
    alice.until("error")
    yield alice.told("error")


def too_many(stage: Stage) -> Iterator[Exchange]:
    trial = stage.client("trial")
    request = {"symbol": SYMBOL, "resolution": "1h"}
    trial.send("request_market_data", request)
    trial.until("market_data_response")
    trial.send("request_market_data", request)
    trial.until("rate_limit_error")
    yield trial.told("rate_limit_error")


def querying(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    alice.send("query", COUNT)
    alice.until("query_started")
    yield alice.told("query_started")
    alice.until("query_response")
    yield alice.told("query_response")
    alice.until("query_completed")
    yield alice.told("query_completed")
    yield alice.told("query")


def cancelling(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    alice.send("query", LONG)
    id_ = alice.until("query_progress")["queryId"]
    yield alice.told("query_progress")
    alice.send("cancel", {"id": id_})
    alice.until("query_error")
    yield alice.told("cancel")


def taking_up(stage: Stage) -> Iterator[Exchange]:
    alice, elsewhere = stage.client("alice"), stage.client("alice")
    elsewhere.send("query", LONG)
    id_ = elsewhere.until("query_started")["queryId"]
    alice.note("alice has begun a query on another session")
    alice.send("attach", {"id": id_})
    alice.until("query_started")
    yield alice.told("attach")
    yield alice.told("attached")
    alice.send("cancel", {"id": id_})
    alice.until("query_error")


def failing(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    alice.send("query", {**COUNT, "sql": "SELECT * FROM orders"})
    alice.until("query_error")
    yield alice.told("query_error")


def asking_for_candles(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    alice.send("request_market_data", {"symbol": SYMBOL, "resolution": "1m"})
    alice.until("market_data_response")
    yield alice.told("request_market_data")
    yield alice.told("market_data_response")


def asking_for_what_is_not_traded(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    alice.send("request_market_data", {"symbol": "ETH-EUR", "resolution": "1m"})
    alice.until("market_data_error")
    yield alice.told("market_data_error")


def watching(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    alice.send("subscribe", {"room": CHART})
    alice.until("market_chart_initial_data")
    yield alice.told("market_chart_initial_data")
    alice.note("a trade is made")
    stage.behind("make_trade")
    alice.until("market_chart_live_update")
    yield alice.told("market_chart_live_update")


def watching_trades(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    alice.send("subscribe", {"room": f"market_trades:{SYMBOL}"})
    alice.until("subscribed")
    alice.note("a trade is made")
    stage.behind("make_trade")
    alice.until("market_trade")
    yield alice.told("market_trade")


def listing(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    alice.send("market_symbols")
    alice.until("market_symbols_response")
    yield alice.told("market_symbols")
    yield alice.told("market_symbols_response")


def analysing(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    alice.send("address_analysis", {"chain": CHAIN, "address": TRADER, "hops": 2})
    alice.until("address_analysis_started")
    yield alice.told("address_analysis_started")
    alice.until("address_analysis_progress")
    yield alice.told("address_analysis_progress")
    alice.until("address_analysis_response")
    yield alice.told("address_analysis_response")
    alice.until("address_analysis_completed")
    yield alice.told("address_analysis_completed")
    yield alice.told("address_analysis")


def analysing_nobody(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    alice.send("address_analysis", {"chain": CHAIN, "address": NOBODY})
    alice.until("address_analysis_error")
    yield alice.told("address_analysis_error")


def turning_pages(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    request = {"chain": CHAIN, "address": TRADER, "limit": 2}
    alice.send("address_transactions", request)
    cursor = alice.until("address_transactions_response")["nextCursor"]
    yield alice.told("address_transactions_response")
    alice.send("address_transactions", {**request, "cursor": cursor})
    alice.until("address_transactions_response")
    yield alice.told("address_transactions")


def adding_up(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    window = {"from": "2026-01-01", "to": "2026-02-01"}
    alice.send("cross_border_flows", {"corridor": "US-NG", "window": window})
    alice.until("cross_border_flows_response")
    yield alice.told("cross_border_flows")
    yield alice.told("cross_border_flows_response")


def paying(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    alice.note("alice is granted 100 credits")
    stage.behind("grant", userId="alice", amount=100, reason="welcome")
    alice.until("credits_granted")
    yield alice.told("credits_granted")
    alice.until("credit_balance_updated")
    yield alice.told("credit_balance_updated")

    request = {"chain": CHAIN, "address": TRADER, "hops": 3}
    alice = stage.client("alice")
    alice.send("address_analysis", request)
    alice.until("credits_deducted")
    yield alice.told("credits_deducted")
    alice.until("credit_balance_updated")

    alice = stage.client("alice")
    alice.send("address_analysis", request, ack="1")
    alice.until("insufficient_credits")
    alice.acknowledged()
    yield alice.told("insufficient_credits")


def accounting(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    alice.send("credits_balance")
    alice.until("credits_balance_response")
    yield alice.told("credits_balance")
    yield alice.told("credits_balance_response")

    alice = stage.client("alice")
    alice.send("credits_history", {"limit": 2})
    alice.until("credits_history_response")
    yield alice.told("credits_history")
    yield alice.told("credits_history_response")


def talking(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    question = "How many trades are there per side?"
    alice.send("chat", {"conversationId": "talk-1", "message": question})
    for event in ("chat_typing", "chat_message", "chat_stop_typing", "chat_response"):
        alice.until(event)
        yield alice.told(event)
    yield alice.told("chat")

    alice = stage.client("alice")
    alice.send("chat_delete", {"conversationId": "talk-1"})
    alice.until("chat_deleted")
    yield alice.told("chat_delete")
    yield alice.told("chat_deleted")


def interrupting(stage: Stage) -> Iterator[Exchange]:
    alice = stage.client("alice")
    alice.send("chat", {"conversationId": "talk-2", "message": ENDLESS})
    alice.until("chat_message")
    alice.send("cancel", {"id": "talk-2"})
    alice.until("chat_error")
    yield alice.told("chat_error")


SCENARIOS: tuple[Callable[[Stage], Iterator[Exchange]], ...] = (
    connecting,
    going_on,
    coming_too_late,
    renewing,
    pinging,
    rooms,
    leaving,
    malformed,
    nowhere,
    too_many,
    querying,
    cancelling,
    taking_up,
    failing,
    asking_for_candles,
    asking_for_what_is_not_traded,
    watching,
    watching_trades,
    listing,
    analysing,
    analysing_nobody,
    turning_pages,
    adding_up,
    paying,
    accounting,
    talking,
    interrupting,
)
