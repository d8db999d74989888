"""Applies rate limits to requests, and refuses what exceeds them.

Theory of operation. Every request is counted before anything of its payload is decoded: by a window
of its session, and by those of its user's tier, which all sessions of the user share. It is let
through by all of them, or counted by none. Of one that is not, the client is told how long to wait;
that takes little, since the next may follow at once: the acknowledgement always, the event once a
second. Refusals are counted too: whoever goes on regardless loses the connection.

The clock is monotonic. Where it steps back all the same, time goes on from where it was: nobody
waits for the clock to get there again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from lbproto.auth import Identity
from lbproto.backends.base import LimitStore
from lbproto.clock import Clock
from lbproto.delivery.hub import Hub
from lbproto.errors import (
    LimitExceeded,
    Overloaded,
    RateLimited,
    RequestError,
    UsageError,
    envelope,
)
from lbproto.limits.quotas import Quota, UserBuckets
from lbproto.limits.windows import PUBLISHED_TIERS, SECOND, Bucket, Refusal, Tier, Window
from lbproto.messages import Error, RateLimitError, Subscribe
from lbproto.registry import Registry
from lbproto.sessions.session import Session
from lbproto.transport import CloseCode
from lbproto.wire.arguments import Inbound, ObjectArguments

__all__ = ["MALFORMED", "Limits", "Throttle"]

logger = logging.getLogger(__name__)

_TOLD_EVERY = SECOND

MALFORMED = Inbound("", ObjectArguments([]), None)
"""What counts for a message that cannot be read."""

_FLOODING = CloseCode.POLICY_VIOLATION, "flooding: too many requests after they were refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Rate limits of users and sessions.

    Attributes:
        tiers: by name; those of the published reference by default.
        tier: which of them a user has: the name of a claim of their token, or a function of who
            they are, which may return a tier of their own too. It is read again when the session
            has another token.
        default: the tier of users without one of those.
        per_session: the limit of one session, whoever's it is; None for no such limit. It is
            the only one for `ping`, `unsubscribe`, `authenticate`, and for what a plugin declares
            so (`counted="session"`).
        flood: refusals that a session may get; at more, its transport is closed. None for any
            number.
        max_users: users whose requests are remembered. That is those who would not get as much as
            somebody new; beyond it, one of them is forgotten.
        store: counts for several nodes together; None for one node alone. It is asked only about
            what the node itself lets through, by what it knows from the last answer. While it
            cannot be reached, each node counts by itself.

    Raises:
        UsageError: there is no tier of the name `default`.
    """

    tiers: Mapping[str, Tier] = field(default_factory=lambda: PUBLISHED_TIERS)
    tier: str | Callable[[Identity], str | Tier] = "tier"
    default: str = "free"
    per_session: Window | None = Window(100, 1)  # noqa: RUF009 - it is immutable
    flood: Window | None = Window(200, 10)  # noqa: RUF009 - it is immutable
    max_users: int = 100_000
    store: LimitStore | None = None

    def __post_init__(self) -> None:
        if self.default not in self.tiers:
            known = ", ".join(self.tiers)
            raise UsageError(
                f"limits: the default tier {self.default!r} does not exist, only {known}"
            )

    def tier_of(self, identity: Identity) -> Tier:
        """The tier of a user; the default where that cannot be told, and the log says why."""
        if isinstance(self.tier, str):
            named = identity.claims.get(self.tier, self.default)
        else:
            try:
                named = self.tier(identity)
            except Exception:
                logger.exception("the tier of a user cannot be told: %r it is", self.default)
                named = self.default
        if isinstance(named, Tier):
            return named
        tier = self.tiers.get(named) if isinstance(named, str) else None
        if tier is None:
            logger.warning("there is no tier %.64r: a user has %r", named, self.default)
            return self.tiers[self.default]
        return tier


class Throttle:
    """Counts the requests of one server.

    Args:
        limits: the limits to apply.
        registry: the weights of requests.
        hub: tells clients.
        clock: measures.

    Attributes:
        refused: requests that were too many.
        flooding: connections that were closed because of such.
    """

    def __init__(self, limits: Limits, registry: Registry, hub: Hub, clock: Clock) -> None:
        self._limits = limits
        self._routes = registry.routes
        self._hub = hub
        self._monotonic = clock.monotonic
        self._own = Tier() if limits.per_session is None else Tier(limits.per_session)
        self._flood = Tier() if limits.flood is None else Tier(limits.flood)
        self._users = UserBuckets(limits.max_users)
        self._store = limits.store
        self.refused = self.flooding = 0
        self._alone = False  # whether it was away when it was asked last
        self._read = 0  # what the clock has shown last
        self._behind = 0  # how far it has stepped back so far

    def __len__(self) -> int:
        """Users whose requests are remembered."""
        return len(self._users)

    def admits(self, session: Session, inbound: Inbound) -> bool:
        """Count a request.

        Returns:
            Whether it is to be served; otherwise its client has been told. Where the session's
            quota owes something now, `admits_everywhere` has the last word.
        """
        quota, identity, now = session.quota, session.identity, self._now()
        if quota is None or quota.identity is not identity:
            quota = self._identify(session)
        quota.owed = 0
        route = self._routes.get(inbound.name)
        weight = 1 if route is None else route.weight
        excused = quota.excused and route is not None and route.request is Subscribe
        user = None
        if not excused and quota.tier.rates and (route is None or route.counted == "user"):
            user = self._users.of(identity.user_id, quota.tier, now)
        if quota.bucket.take(now, weight):
            if user is None:
                if excused:
                    quota.excused -= 1
                return True
            if user.take(now, weight):
                if self._store is not None:
                    quota.owed = weight
                return True
            quota.bucket.give_back(weight)
        self._refuse(session, quota, inbound, user, weight, now)
        return False

    async def admits_everywhere(self, session: Session, inbound: Inbound) -> bool:
        """Have the store count, for all nodes, a request that this one has let through.

        Returns:
            Whether it is to be served; otherwise its client has been told.
        """
        quota = session.quota
        if quota is None or self._store is None or not quota.owed:
            return True
        tier, weight, quota.owed = quota.tier, quota.owed, 0
        windows = [
            (round(each.seconds * SECOND), each.interval, each.reach) for each in tier.windows
        ]
        try:
            taken, ahead = await self._store.take(session.user_id, windows, weight)
        except Overloaded as error:
            if not self._alone:  # it is said once, not for every request
                logger.warning("requests are counted by this node alone: %s", error.message)
            self._alone = True
            return True
        self._alone = False
        now = self._now()
        user = self._users.of(session.user_id, tier, now)
        user.adopt(ahead, now)
        if not taken:
            quota.bucket.give_back(weight)
            self._refuse(session, quota, inbound, user, weight, now)
        return taken

    def resumed(self, session: Session, rooms: int) -> None:
        """A client has come back to its session: so many rooms it may subscribe to again."""
        quota = session.quota or self._identify(session)
        quota.excused = rooms

    def _now(self) -> int:
        read = round(self._monotonic() * SECOND)
        if read < self._read:
            self._behind += self._read - read
        self._read = read
        return read + self._behind

    def _identify(self, session: Session) -> Quota:
        tier, quota = self._limits.tier_of(session.identity), session.quota
        if quota is None:
            quota = session.quota = Quota(session.identity, tier, self._own)
        quota.identity, quota.tier = session.identity, tier
        return quota

    # Too much

    def _refuse(
        self,
        session: Session,
        quota: Quota,
        inbound: Inbound,
        user: Bucket | None,
        weight: int,
        now: int,
    ) -> None:
        buckets = (quota.bucket,) if user is None else (quota.bucket, user)
        error = _error([refusal for bucket in buckets if (refusal := bucket.refusal(now, weight))])
        self._tell(session, quota, inbound, error, now)
        self._count_refusal(session, quota, now)

    def _tell(
        self,
        session: Session,
        quota: Quota,
        inbound: Inbound,
        error: RequestError,
        now: int,
    ) -> None:
        """Acknowledge a request that is refused, and send the event unless one was just sent."""
        # Events that nobody answers share one place: there are as many as a client likes.
        known = inbound.name if inbound.name in self._routes else None
        if quota.told is None:
            quota.told = {}
        waiting = inbound.id is not None
        if quota.told.get(known, now) <= now:
            quota.told[known] = now + _TOLD_EVERY
            event = RateLimitError if isinstance(error, RateLimited) else Error
            shown = event.of(error, event=inbound.shown_name)
            self._hub.send(session, shown, inbound.id)
            waiting = waiting and not session.format.answers_acknowledge
        if waiting and inbound.id is not None and session.socket is not None:
            body = envelope(error.code, error.message, error.retry_after_seconds)
            session.socket.acknowledge(inbound.id, {"ok": False, "error": body})

    def _count_refusal(self, session: Session, quota: Quota, now: int) -> None:
        self.refused += 1
        if quota.refused is None:
            quota.refused = Bucket(self._flood)
        if not quota.refused.take(now) and session.socket is not None:
            logger.info("closing the connection of session %s, which floods", session.sid)
            self.flooding += 1
            session.socket.close(*_FLOODING)


def _error(refusals: list[Refusal]) -> RequestError:
    """What the client is told: of the windows that refuse, the one that takes longest."""
    for window, wait in refusals:
        if wait is None:
            return LimitExceeded(
                f"This request weighs more than is ever let through at once, {window.burst}"
            )
    window, wait = max(refusals, key=lambda refusal: refusal.wait or 0)
    allowed = f"at most {window.number} in {window.seconds:g} s, {window.burst} of them at once"
    return RateLimited(f"Too many requests: {allowed}", retry_after=-(-(wait or 0) // SECOND))
