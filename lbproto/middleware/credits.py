"""The innermost middleware, of routes that have a price: reserve, serve, settle.

Theory of operation. What the request may cost is set aside before its handler runs; if so much is
not available, the handler never does. What becomes of it depends on how the handler ends:

    success                              spends what was charged; the price, where nothing was
    a failure, and nothing delivered     releases all
    a failure with something delivered   as success
    cancellation                         as a failure

An answer of the handler is on its way before its price is settled: a client that has been told of a
movement has been told of what is committed.
"""

from __future__ import annotations

from inspect import isawaitable
from typing import Any

from lbproto.context import Context
from lbproto.errors import NotFound, UsageError
from lbproto.events import Event
from lbproto.holds import Hold, Holds, RepeatKey
from lbproto.ledger.account import Account
from lbproto.middleware import Endpoint

__all__ = ["Charging", "Meter"]

_DEFAULT = "default"


class Meter:
    """What one request costs.

    Args:
        holds: where credits are set aside.
        account: whose.
        action: the request's event.
        price: what is set aside at first.
        repeat: what it has in common with its repeats; None for one that has no id.
    """

    __slots__ = (
        "_account",
        "_action",
        "_charged",
        "_closed",
        "_hold",
        "_holds",
        "_price",
        "_repeat",
        "_within",
    )

    def __init__(
        self, holds: Holds, account: Account, action: str, price: int, repeat: RepeatKey | None
    ) -> None:
        self._holds = holds
        self._account = account
        self._action = action
        self._price = price
        self._repeat = repeat
        self._charged: int | None = None  # not metered (yet)
        self._within = 0  # what may be charged without asking: paid before, or set aside
        self._hold: Hold | None = None
        self._closed = False

    async def open(self, amount: int) -> None:
        """Set so much aside, less what a repeat has paid.

        Raises:
            RequestError: see `Holds.reserve`.
        """
        hold, paid = await self._holds.reserve(self._account, amount, self._action, self._repeat)
        self._hold = hold
        self._within = paid if hold is None else paid + hold.amount

    async def charge(self, amount: int) -> None:
        """See `Context.charge`."""
        if amount < 0:
            raise UsageError("what is charged cannot be taken back: charge 0 or more")
        if self._closed:
            raise UsageError("the request has been served and paid for: charge while it is served")
        charged = self._charged = (self._charged or 0) + amount
        if charged <= self._within:
            return
        try:
            await self._take_more(charged - self._within)
        except BaseException:
            self._charged -= amount
            raise

    async def _take_more(self, needed: int) -> None:
        if self._hold is None:
            await self.open(self._within + needed)
            return
        before = self._hold.amount
        try:
            await self._holds.enlarge(self._hold, needed, self._price)
        except NotFound:  # it has expired, as when the clock was set ahead: all of it anew
            self._hold = None
            await self.open(self._within + needed)
        else:
            self._within += self._hold.amount - before

    async def close(self, *, delivered: bool) -> None:
        """Settle; nothing where nothing was delivered. A cancellation waits for it."""
        self._closed = True
        hold, self._hold = self._hold, None
        if hold is None:
            return
        cost = 0
        if delivered:
            cost = self._price if self._charged is None else self._charged
        paid = self._within - hold.amount
        # Where the price has risen since the first try, what that set aside is all that it costs.
        await self._holds.settle(hold, max(0, min(cost - paid, hold.amount)))


class Charging:
    """The middleware.

    Args:
        holds: where credits are set aside.
    """

    def __init__(self, holds: Holds) -> None:
        self._holds = holds

    async def __call__(self, ctx: Context, call_next: Endpoint) -> None:
        """Serve a request for its price.

        Raises:
            InsufficientCredits: less is available; or was, when more was charged.
            RequestError: as the payload's decoding, `Context.authorize`, `Holds.reserve` or the
                handler do.
            UsageError: the price is none.
        """
        route = ctx.route
        assert route is not None  # noqa: S101 - it has a price
        request = ctx.request
        if request is None:
            request = ctx.request = ctx.inbound.arguments.first(route.request)
        application_id = getattr(request, "application_id", None)
        if application_id is not None:
            await ctx.authorize(application_id)
        account = Account(ctx.user_id, application_id or _DEFAULT)
        price = route.price
        if not isinstance(price, int):
            price = await _price_of(price, request)
        meter = Meter(self._holds, account, ctx.inbound.name, price, ctx.repeat)
        await meter.open(price)
        ctx.meter = meter
        try:
            await call_next(ctx)
        except GeneratorExit:  # nothing can be waited for: it expires
            raise
        except BaseException:
            await meter.close(delivered=ctx.delivered)
            raise
        await meter.close(delivered=ctx.delivered or not ctx.failed)


async def _price_of(price: Any, request: Event) -> int:
    found = price(request)
    if isawaitable(found):
        found = await found
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        name = request.event_name
        raise UsageError(f"{name!r} has the price {found!r}: it must be a whole number, 0 or more")
    return found
