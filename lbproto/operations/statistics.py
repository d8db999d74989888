"""The figures returned by `statistics()` of a server, a room and a session.

What is called queued, or is a number of things, is as of now. What is called dropped, conflated or
closed is counted since the server was made, and never goes back.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "OutboxStatistics",
    "PubSubStatistics",
    "RoomStatistics",
    "ServerStatistics",
    "SessionStatistics",
]


@dataclass(frozen=True, slots=True)
class OutboxStatistics:
    """Figures of one outbox, or the sums of several.

    Attributes:
        queued_frames: frames that wait to be sent.
        queued_bytes: bytes of these.
        dropped: frames lost to a full outbox.
        dropped_oldest: of these, those that had to make room for newer ones; the others were lost
            with connections that were closed for it.
        conflated: frames that a newer one of the same key has replaced.
        unsent_bytes: what the web server has been given and the peer has not taken; 0 under servers
            that do not tell.
    """

    queued_frames: int = 0
    queued_bytes: int = 0
    dropped: int = 0
    conflated: int = 0
    unsent_bytes: int = 0
    dropped_oldest: int = 0

    def __add__(self, other: OutboxStatistics) -> OutboxStatistics:
        return OutboxStatistics(
            self.queued_frames + other.queued_frames,
            self.queued_bytes + other.queued_bytes,
            self.dropped + other.dropped,
            self.conflated + other.conflated,
            self.unsent_bytes + other.unsent_bytes,
            self.dropped_oldest + other.dropped_oldest,
        )


@dataclass(frozen=True, slots=True)
class PubSubStatistics:
    """Figures of one node's pub/sub.

    Attributes:
        channels: channels it has subscribed to.
        queued_messages: messages that the broker has not taken yet.
        queued_bytes: bytes of these.
        published: messages that the broker has taken.
        parcels: what they have travelled in: those of one moment to one channel travel together.
        received: messages of other nodes.
        refused: messages refused because too many were queued.
        dropped: messages given up: the node has ended before the broker took them, or was too far
            behind to take them from the broker.
        missed: messages of other nodes that did not come, as their numbers tell.
        lost_connections: times that the broker was lost.
    """

    channels: int = 0
    queued_messages: int = 0
    queued_bytes: int = 0
    published: int = 0
    parcels: int = 0
    received: int = 0
    refused: int = 0
    dropped: int = 0
    missed: int = 0
    lost_connections: int = 0


@dataclass(frozen=True, slots=True)
class ServerStatistics:
    """Figures of a server on this node.

    Attributes:
        connections: open connections.
        sessions: sessions, those away too.
        away: sessions that wait for clients that have lost their connection.
        rooms: rooms that somebody is in.
        jobs: jobs that are under way.
        deliveries: events queued for clients, each once for every session that it was queued for;
            not those that are sent again to one that resumes.
        outboxes: those of all connections together, counting on for those that are closed.
        slow_consumers: connections closed because their outbox was full.
        refused: requests refused because they were too many.
        flooding: connections closed because of such requests.
        unauthorized: clients refused for good, as when their token is not accepted.
        unavailable: clients sent away that may come back, as when their user has too many sessions.
        recovered: sessions whose clients came back, and were sent what they had missed.
        unrecovered: clients that came back to a session that could not be resumed any more.
        kept_events: events in the log, for those who resume.
        kept_bytes: bytes that these take.
        timers: deadlines that are kept.
        pubsub: the way to the other nodes.
        hears_others: whether that is open, as far as it can tell.
    """

    connections: int
    sessions: int
    away: int
    rooms: int
    jobs: int
    deliveries: int
    outboxes: OutboxStatistics
    slow_consumers: int
    refused: int
    flooding: int
    unauthorized: int
    unavailable: int
    recovered: int
    unrecovered: int
    kept_events: int
    kept_bytes: int
    timers: int
    pubsub: PubSubStatistics
    hears_others: bool


@dataclass(frozen=True, slots=True)
class RoomStatistics:
    """Figures of a room on this node.

    Attributes:
        sessions: sessions that count; those that have lost their connection do so for the grace.
        away: sessions in it that have lost their connection.
        kept_events: events in its lane of the log.
    """

    sessions: int
    away: int
    kept_events: int


@dataclass(frozen=True, slots=True)
class SessionStatistics:
    """Figures of a session.

    Attributes:
        away: whether its client has lost the connection.
        rooms: rooms it is in.
        outbox: that of its connection, which it may share; nothing while it is away.
    """

    away: bool
    rooms: int
    outbox: OutboxStatistics
