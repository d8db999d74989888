"""Rate-limit buckets of sessions and users. Pure.

Theory of operation. A session has its quota for as long as it lives. A user has a bucket from the
first request on until everything that it has let through is paid for: a new one would not let
through more then. So that nobody has to look for those, each new bucket looks at two old ones.
"""

from __future__ import annotations

from collections import deque

from lbproto.limits.windows import Bucket, Tier

__all__ = ["Quota", "UserBuckets"]

_SWEPT_PER_BUCKET = 2  # old buckets for each new one: they go faster than they come


class Quota:
    """One session's.

    Args:
        identity: the identity that the tier was read from.
        tier: its user's.
        own: the bucket of this session alone.

    Attributes:
        bucket: counts everything that it asks for.
        excused: subscriptions that its user is not charged with, because it had them before.
        told: when its client may next be told of a refusal, by the event's name.
        refused: counts refusals; None as long as there were none.
        owed: what the last request weighs, where other nodes have still to let it through; or 0.
    """

    __slots__ = ("bucket", "excused", "identity", "owed", "refused", "tier", "told")

    def __init__(self, identity: object, tier: Tier, own: Tier) -> None:
        self.identity = identity
        self.tier = tier
        self.bucket = Bucket(own)
        self.excused = 0
        self.told: dict[str | None, int] | None = None
        self.refused: Bucket | None = None
        self.owed = 0


class UserBuckets:
    """Those of all users of a server.

    Args:
        most: how many there are at a time; beyond it one that has not been looked at for long is
            forgotten, and its user begins anew.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._buckets: dict[str, Bucket] = {}
        self._order: deque[str] = deque()  # the same users, those first that are looked at next

    def __len__(self) -> int:
        return len(self._buckets)

    def of(self, user_id: str, tier: Tier, now: int) -> Bucket:
        """A user's, by the windows of this tier."""
        bucket = self._buckets.get(user_id)
        if bucket is None:
            return self._add(user_id, tier, now)
        if bucket.tier is not tier:
            bucket.change(tier, now)
        return bucket

    def _add(self, user_id: str, tier: Tier, now: int) -> Bucket:
        buckets, order = self._buckets, self._order
        for _ in range(min(_SWEPT_PER_BUCKET, len(order))):
            looked_at = order.popleft()
            if buckets[looked_at].full(now):
                del buckets[looked_at]
            else:
                order.append(looked_at)
        while len(order) >= self._most:
            del buckets[order.popleft()]
        bucket = buckets[user_id] = Bucket(tier)
        order.append(user_id)
        return bucket
