"""A server's statistics, collected from its parts."""

from __future__ import annotations

from lbproto.backends.base import PubSub
from lbproto.connection.runtime import Runtime
from lbproto.delivery.hub import Hub
from lbproto.delivery.log import Log
from lbproto.jobs.runner import Jobs
from lbproto.limits.throttle import Throttle
from lbproto.operations.statistics import ServerStatistics
from lbproto.rooms.index import Rooms
from lbproto.sessions.lifecycle import Sessions

__all__ = ["Census"]


class Census:
    """Collects the statistics of one node.

    Args:
        runtime: its connections.
        sessions: its sessions.
        rooms: their rooms.
        jobs: those that run.
        hub: counts deliveries.
        log: the events kept.
        throttle: what was refused; None for nothing.
        pubsub: the way to the other nodes.
    """

    def __init__(
        self,
        runtime: Runtime,
        sessions: Sessions,
        rooms: Rooms,
        jobs: Jobs,
        hub: Hub,
        log: Log,
        throttle: Throttle | None,
        pubsub: PubSub,
    ) -> None:
        self._runtime = runtime
        self._sessions = sessions
        self._rooms = rooms
        self._jobs = jobs
        self._hub = hub
        self._log = log
        self._throttle = throttle
        self._pubsub = pubsub

    def take(self) -> ServerStatistics:
        """The server's statistics, as of now. Visits every open connection."""
        runtime, sessions, throttle = self._runtime, self._sessions, self._throttle
        return ServerStatistics(
            connections=len(runtime.connections),
            sessions=len(sessions.directory),
            away=sessions.away,
            rooms=len(self._rooms),
            outboxes=runtime.outbox_statistics(),
            jobs=len(self._jobs),
            deliveries=self._hub.deliveries,
            slow_consumers=runtime.slow_consumers,
            refused=0 if throttle is None else throttle.refused,
            flooding=0 if throttle is None else throttle.flooding,
            unauthorized=runtime.unauthorized,
            unavailable=runtime.unavailable,
            recovered=sessions.recovered,
            unrecovered=sessions.unrecovered,
            kept_events=len(self._log),
            kept_bytes=self._log.size,
            timers=len(runtime.timers),
            pubsub=self._pubsub.statistics(),
            hears_others=self._pubsub.ready,
        )
