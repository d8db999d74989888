"""The metrics read from `Server.statistics()` on each collection; they cost nothing between.

Each is a row of one table, from which the reference of them is checked, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lbproto.operations.statistics import ServerStatistics
from lbproto.telemetry.names import (
    MESSAGING_OPERATION,
    MESSAGING_SYSTEM,
    POLICY,
    QUEUE,
    REASON,
    RECOVERY,
    STATE,
    SYSTEM_NAME,
)

__all__ = ["OBSERVED", "Kind", "Observed"]

Kind = Literal["counter", "updowncounter"]
Point = tuple[int, dict[str, str]]

_SENT = {MESSAGING_SYSTEM: SYSTEM_NAME, MESSAGING_OPERATION: "publish"}
_RECEIVED = {MESSAGING_SYSTEM: SYSTEM_NAME, MESSAGING_OPERATION: "receive"}


@dataclass(frozen=True, slots=True)
class Observed:
    """One metric.

    Attributes:
        name: the metric's.
        kind: what only grows, or what goes up and down; both add up over servers.
        unit: by UCUM, with what is counted in braces.
        description: one line.
        read: its points: each a number, and its attributes.
    """

    name: str
    kind: Kind
    unit: str
    description: str
    read: Callable[[ServerStatistics], list[Point]]


def _one(read: Callable[[ServerStatistics], int]) -> Callable[[ServerStatistics], list[Point]]:
    return lambda now: [(read(now), {})]


def _sessions(now: ServerStatistics) -> list[Point]:
    return [(now.sessions - now.away, {STATE: "live"}), (now.away, {STATE: "away"})]


def _refusals(now: ServerStatistics) -> list[Point]:
    return [
        (now.refused, {REASON: "rate_limited"}),
        (now.unauthorized, {REASON: "unauthorized"}),
        (now.unavailable, {REASON: "unavailable"}),
    ]


def _cut_off(now: ServerStatistics) -> list[Point]:
    return [(now.slow_consumers, {REASON: "slow"}), (now.flooding, {REASON: "flooding"})]


def _drops(now: ServerStatistics) -> list[Point]:
    boxes = now.outboxes
    return [
        (boxes.dropped - boxes.dropped_oldest, {POLICY: "disconnect"}),
        (boxes.dropped_oldest, {POLICY: "drop_oldest"}),
        (boxes.conflated, {POLICY: "conflate"}),
    ]


def _queued_bytes(now: ServerStatistics) -> list[Point]:
    return [
        (now.outboxes.queued_bytes, {QUEUE: "outbox"}),
        (now.outboxes.unsent_bytes, {QUEUE: "transport"}),
        (now.pubsub.queued_bytes, {QUEUE: "broker"}),
        (now.kept_bytes, {QUEUE: "log"}),
    ]


def _queued_events(now: ServerStatistics) -> list[Point]:
    return [
        (now.outboxes.queued_frames, {QUEUE: "outbox"}),
        (now.pubsub.queued_messages, {QUEUE: "broker"}),
        (now.kept_events, {QUEUE: "log"}),
    ]


def _recoveries(now: ServerStatistics) -> list[Point]:
    return [(now.recovered, {RECOVERY: "recovered"}), (now.unrecovered, {RECOVERY: "lost"})]


def _lost_messages(now: ServerStatistics) -> list[Point]:
    return [
        (now.pubsub.refused, {REASON: "refused"}),
        (now.pubsub.dropped, {REASON: "dropped"}),
        (now.pubsub.missed, {REASON: "missed"}),
    ]


OBSERVED: tuple[Observed, ...] = (
    Observed(
        "lbproto.connections",
        "updowncounter",
        "{connection}",
        "Open connections",
        _one(lambda now: now.connections),
    ),
    Observed(
        "lbproto.sessions",
        "updowncounter",
        "{session}",
        "Sessions: live, or waiting for a client that has lost its connection",
        _sessions,
    ),
    Observed(
        "lbproto.rooms",
        "updowncounter",
        "{room}",
        "Rooms that somebody is in",
        _one(lambda now: now.rooms),
    ),
    Observed(
        "lbproto.jobs",
        "updowncounter",
        "{job}",
        "Jobs under way",
        _one(lambda now: now.jobs),
    ),
    Observed(
        "lbproto.refusals",
        "counter",
        "{refusal}",
        "Requests and clients refused before anything was served",
        _refusals,
    ),
    Observed(
        "lbproto.connections.cut",
        "counter",
        "{connection}",
        "Connections closed because their clients were too slow, or flooded",
        _cut_off,
    ),
    Observed(
        "lbproto.deliveries",
        "counter",
        "{event}",
        "Events queued for sessions, once for each of them",
        _one(lambda now: now.deliveries),
    ),
    Observed(
        "lbproto.drops",
        "counter",
        "{event}",
        "Queued events that were not sent, by the policy that decided so",
        _drops,
    ),
    Observed("lbproto.queue.size", "updowncounter", "By", "Bytes that wait", _queued_bytes),
    Observed(
        "lbproto.queue.events", "updowncounter", "{event}", "Events that wait", _queued_events
    ),
    Observed(
        "lbproto.recoveries",
        "counter",
        "{session}",
        "Clients that came back to their session: it was recovered, or it was lost",
        _recoveries,
    ),
    Observed(
        "lbproto.broker.ready",
        "updowncounter",
        "{node}",
        "Nodes that hear the others: 1 or 0 of each",
        _one(lambda now: int(now.hears_others)),
    ),
    Observed(
        "lbproto.broker.losses",
        "counter",
        "{loss}",
        "How often the broker was lost",
        _one(lambda now: now.pubsub.lost_connections),
    ),
    Observed(
        "lbproto.broker.lost_messages",
        "counter",
        "{message}",
        "Messages between nodes that did not get there",
        _lost_messages,
    ),
    Observed(
        "messaging.client.sent.messages",
        "counter",
        "{message}",
        "Messages that the broker has taken",
        lambda now: [(now.pubsub.published, _SENT)],
    ),
    Observed(
        "messaging.client.consumed.messages",
        "counter",
        "{message}",
        "Messages of other nodes",
        lambda now: [(now.pubsub.received, _RECEIVED)],
    ),
)
"""All of them, in the order of the reference."""
