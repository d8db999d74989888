"""What sessions and users have asked for so far: a meter each, and few of them. Pure.

Theory of operation. A session has its quota for as long as it lives. A user has a meter from the
first request on until everything that it has let through is paid for: a new one would not let
through more then. So that nobody has to look for those, each new meter looks at two old ones.
"""

from __future__ import annotations

from collections import deque

from lbproto.limits import Meter, Tier

__all__ = ["Quota", "UserMeters"]

_LOOKED_AT = 2  # old meters for each new one: they go faster than they come


class Quota:
    """One session's.

    Args:
        identity: what the tier was read from.
        tier: its user's.
        own: what this session may ask for by itself.

    Attributes:
        meter: counts everything that it asks for.
        excused: subscriptions that its user is not charged with, because it had them before.
        told: when its client may next be told of a refusal, by the event's name.
        refused: counts refusals; None as long as there were none.
        owed: what the last request weighs, where other nodes have still to let it through; or 0.
    """

    __slots__ = ("excused", "identity", "meter", "owed", "refused", "tier", "told")

    def __init__(self, identity: object, tier: Tier, own: Tier) -> None:
        self.identity = identity
        self.tier = tier
        self.meter = Meter(own)
        self.excused = 0
        self.told: dict[str | None, int] | None = None
        self.refused: Meter | None = None
        self.owed = 0


class UserMeters:
    """Those of all users of a server.

    Args:
        most: how many there are at a time; beyond it one that has not been looked at for long is
            forgotten, and its user begins anew.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._meters: dict[str, Meter] = {}
        self._order: deque[str] = deque()  # the same users, those first that are looked at next

    def __len__(self) -> int:
        return len(self._meters)

    def of(self, user_id: str, tier: Tier, now: int) -> Meter:
        """A user's, by the windows of this tier."""
        meter = self._meters.get(user_id)
        if meter is None:
            return self._add(user_id, tier, now)
        if meter.tier is not tier:
            meter.change(tier, now)
        return meter

    def _add(self, user_id: str, tier: Tier, now: int) -> Meter:
        meters, order = self._meters, self._order
        for _ in range(min(_LOOKED_AT, len(order))):
            looked_at = order.popleft()
            if meters[looked_at].full(now):
                del meters[looked_at]
            else:
                order.append(looked_at)
        while len(order) >= self._most:
            del meters[order.popleft()]
        meter = meters[user_id] = Meter(tier)
        order.append(user_id)
        return meter
