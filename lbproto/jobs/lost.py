"""Tells users of jobs that were lost with their nodes; see `lbproto.jobs.records`."""

from __future__ import annotations

import logging
from functools import partial
from weakref import WeakKeyDictionary

from lbproto.clock import Clock
from lbproto.context import Context
from lbproto.delivery.hub import Hub
from lbproto.errors import RequestError
from lbproto.jobs.records import Records
from lbproto.scheduling.tasks import StartSoon
from lbproto.sessions.session import Session

__all__ = ["LostJobs"]

logger = logging.getLogger(__name__)

_RETRY_SECONDS = 5.0  # seconds until a storage that is out of reach is asked again


class LostJobs:
    """The lost jobs of one server's users.

    Args:
        records: where they are recorded; None where nothing is.
        hub: delivers.
        clock: measures when leases must have ended.
        start_soon: starts a task that lives no longer than the server.
    """

    def __init__(
        self, records: Records | None, hub: Hub, clock: Clock, start_soon: StartSoon
    ) -> None:
        self._records = records
        self._hub = hub
        self._clock = clock
        self._start_soon = start_soon
        self._told: WeakKeyDictionary[Session, set[str]] = WeakKeyDictionary()  # ids of jobs

    def tell(self, session: Session) -> None:
        """Tell a session of its user's lost jobs, each once, however often this is called.

        Those of nodes whose leases still run are looked at again when these must have ended.
        """
        if self._records is not None:
            self._start_soon(partial(self._tell, session, self._records))

    async def answer(self, ctx: Context, id_: str) -> bool:
        """Answer a request for a job by its failure, if it was lost.

        Returns:
            Whether it was.

        Raises:
            Overloaded: the storage cannot be reached.
        """
        job = None if self._records is None else await self._records.find(ctx.user_id, id_)
        if self._records is None or job is None:
            return False
        _, failure = self._records.ends(job)
        ctx.refuse(failure)
        return True

    async def _tell(self, session: Session, records: Records) -> None:
        wait: float | None = 0.0
        while wait is not None and not session.closed:
            await self._clock.sleep(wait)
            try:
                lost, wait = await records.lost(session.user_id)
            except RequestError as error:
                logger.warning("Lost jobs are not known of for now: %s", error)
                lost, wait = [], _RETRY_SECONDS
            for job in lost:
                told = self._told.setdefault(session, set())
                if job.id not in told and not session.closed:
                    told.add(job.id)
                    before, failure = records.ends(job)
                    for event in (*before, failure):
                        self._hub.send(session, event)
                    await records.told(job)
