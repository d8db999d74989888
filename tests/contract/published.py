"""The events of the published reference, as they were published, with the fields of their payloads.

A field with a question mark may be left out.
"""

from __future__ import annotations

__all__ = ["FROM_SERVER", "TO_SERVER"]

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
