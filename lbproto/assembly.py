"""A server's parts, made and put together: each is given those that it stands on.

What is made first knows nothing of what is made later. Where it has to call it all the same, that
is put in afterwards: `Runtime` is told whom to ask about connections, `Control` whom to trace for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from lbproto.auth import Authenticate
from lbproto.backends.base import PubSub, Storage
from lbproto.backends.memory import MemoryPubSub
from lbproto.clock import Clock
from lbproto.connection.runtime import Runtime
from lbproto.context import Services
from lbproto.credits.accounts import Announce, Credits, tell
from lbproto.credits.holds import Holds
from lbproto.delivery.acknowledgements import Acknowledgements
from lbproto.delivery.hub import Hub
from lbproto.delivery.inflow import Inflow
from lbproto.delivery.log import Log
from lbproto.dispatch import Dispatcher
from lbproto.jobs.elsewhere import JobsElsewhere
from lbproto.jobs.lost import LostJobs
from lbproto.jobs.records import Records
from lbproto.jobs.runner import Jobs
from lbproto.ledger.store import LedgerStore
from lbproto.limits.throttle import Limits, Throttle
from lbproto.middleware import Middleware
from lbproto.nodes.control import Control
from lbproto.operations.census import Census
from lbproto.registry import Registry
from lbproto.repeats.claims import Claims
from lbproto.rooms.bans import Bans
from lbproto.rooms.index import Rooms
from lbproto.rooms.membership import Membership
from lbproto.sessions.admission import Admission, Gate
from lbproto.sessions.directory import Directory
from lbproto.sessions.handover import Handover
from lbproto.sessions.lifecycle import Sessions
from lbproto.sessions.notices import Notices
from lbproto.sessions.places import Places
from lbproto.sessions.recovery import JOINING, Recovery
from lbproto.system import system

if TYPE_CHECKING:
    from lbproto.telemetry import Telemetry

__all__ = ["Parts"]


class Parts:
    """Everything that one server is made of.

    Args: as `Server` has them, and

        registry: what its plugins declare; they may do so later.
        runtime: its connections.

    Attributes:
        system: the plugin of the System domain.
    """

    def __init__(
        self,
        registry: Registry,
        runtime: Runtime,
        *,
        auth: Authenticate,
        admission: Admission,
        recovery: Recovery | None,
        limits: Limits | None,
        max_rooms: int,
        max_jobs: int,
        request_timeout: float | None,
        middleware: Iterable[Middleware],
        storage: Storage,
        pubsub: PubSub | None,
        credits: LedgerStore | None,  # noqa: A002 - the name of the domain
        telemetry: Telemetry | None,
        clock: Clock,
    ) -> None:
        timers, start_soon = runtime.timers, runtime.start_soon
        resumable = recovery is not None

        # Delivery, here and to other nodes
        self.pubsub = pubsub or MemoryPubSub()
        kept = recovery or JOINING
        self.log = Log(kept.window, kept.max_events, kept.max_bytes)
        rooms = Rooms(self.log, runtime.settings.max_queued_frames, runtime.turn)
        self.hub = Hub(rooms, registry, self.pubsub, self.log, clock, resumable=resumable)
        announce: Announce = partial(tell, self.hub)
        tracing = None
        if telemetry is not None:
            tracing = telemetry.tracing(registry, self.hub, runtime)
            announce = telemetry.counting(announce, registry)
        self.inflow = Inflow(self.pubsub, rooms, registry, self.hub)
        self.control = Control(self.pubsub, self.inflow, clock, timers)
        self.control.traces = self.hub.traces
        self.acknowledgements = Acknowledgements(self.hub, clock, timers)

        # Rooms
        self.bans = Bans(storage)
        places = None
        if resumable and pubsub is not None and storage.durable:
            places = Places(storage, clock, self.log.epoch)
        self.membership = Membership(
            registry,
            rooms,
            self.hub,
            self.inflow,
            self.bans,
            self.control,
            clock,
            max_rooms,
            places,
        )

        # What requests cost, and how many there may be
        self.credits: Credits | None = None
        self.holds: Holds | None = None
        if credits is not None:
            self.credits = Credits(credits, clock, announce)
            self.holds = Holds(self.credits, clock)
        throttle = None if limits is None else Throttle(limits, registry, self.hub, clock)

        # Requests and jobs
        records = claims = None
        if storage.durable:
            records = Records(storage, registry, clock)
            claims = Claims(storage, records, registry, clock, start_soon)
        self.jobs = Jobs(clock, timers, start_soon, max_jobs, records)
        lost = LostJobs(records, self.hub, clock, start_soon)
        elsewhere = JobsElsewhere(self.jobs, lost, self.control, registry, start_soon)
        self.services = Services(
            hub=self.hub,
            membership=self.membership,
            storage=storage,
            clock=clock,
            acknowledgements=self.acknowledgements,
            authorize=admission.authorize,
            credits=self.credits,
        )
        dispatcher = Dispatcher(
            registry,
            self.services,
            middleware,
            self.holds,
            self.jobs,
            claims,
            timers,
            request_timeout,
            tracing,
        )

        # Sessions
        directory = Directory()
        self.handover = Handover(
            directory=directory,
            places=places,
            control=self.control,
            membership=self.membership,
            rooms=rooms,
            hub=self.hub,
            inflow=self.inflow,
            log=self.log,
            registry=registry,
            dispatcher=dispatcher,
            jobs=self.jobs,
            jobs_elsewhere=elsewhere,
            start_soon=start_soon,
        )
        self.sessions = Sessions(
            directory=directory,
            gate=Gate(auth, admission, self.bans),
            dispatcher=dispatcher,
            membership=self.membership,
            rooms=rooms,
            hub=self.hub,
            log=self.log,
            acknowledgements=self.acknowledgements,
            throttle=throttle,
            admission=admission,
            recovery=recovery,
            settings=runtime.settings,
            clock=clock,
            timers=timers,
            lost=lost,
            handover=self.handover,
        )
        self.system = system(
            self.jobs,
            elsewhere,
            lost,
            clock,
            self.sessions.expiry.renew,
            has_credits=credits is not None,
        )

        # The whole
        self.notices = Notices(self.hub, self.jobs, throttle)
        runtime.dropped, runtime.closing = self.notices.dropped, self.notices.closing
        runtime.admits_malformed = self.notices.admits_malformed
        self.census = Census(
            runtime, self.sessions, rooms, self.jobs, self.hub, self.log, throttle, self.pubsub
        )
        self._storage, self._ledger = storage, credits
        self._limit_store = None if limits is None else limits.store
        self._records = records

    @asynccontextmanager
    async def resources(self) -> AsyncIterator[None]:
        """Keep open, inside the `async with`, what has to be while the server runs."""
        nothing = nullcontext()
        async with (
            self._storage,
            self.pubsub,
            self._ledger or nothing,
            self._limit_store or nothing,
            self._records.held() if self._records else nothing,
        ):
            yield
