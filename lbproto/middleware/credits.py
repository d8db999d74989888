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

from collections.abc import Coroutine
from contextlib import suppress
from functools import lru_cache
from inspect import isawaitable
from typing import Any

import msgspec

from lbproto.context import Context
from lbproto.credits.holds import Hold, Holds, RepeatKey
from lbproto.errors import NotFound, UsageError
from lbproto.events import Event
from lbproto.ledger.account import Account
from lbproto.middleware import Endpoint

__all__ = ["Charging", "Meter"]

_DEFAULT = "default"
_account = lru_cache(maxsize=4_096)(Account)  # a tuple with names is slow to make


class Meter(msgspec.Struct, eq=False, gc=False):
    """The cost of one request, reserved and charged.

    Args:
        holds: where credits are set aside.
        hold: what is.
        price: what is set aside at first.
        repeat: what the request has in common with its repeats; None for one that has no id.
    """

    _holds: Holds
    _hold: Hold
    _price: int
    _repeat: RepeatKey | None
    _charged: int | None = None  # not metered (yet)
    _closed: bool = False

    async def charge(self, amount: int) -> None:
        """See `Context.charge`."""
        if amount < 0:
            raise UsageError("a charge cannot be negative: charge 0 or more")
        if self._closed:
            raise UsageError("the request has been served and paid for: charge while it is served")
        charged = self._charged = (self._charged or 0) + amount
        if charged <= self._hold.within:
            return
        try:
            await self._take_more(charged)
        except BaseException:
            self._charged -= amount
            raise

    async def _take_more(self, charged: int) -> None:
        """Enlarge the reservation to cover what was charged."""
        hold = self._hold
        if hold.amount:
            with suppress(NotFound):  # it has expired, as when the clock was set ahead: all anew
                await self._holds.enlarge(hold, charged - hold.within, self._price)
                return
        self._hold = await self._holds.reserve(hold.account, charged, hold.action, self._repeat)

    def close(self, delivered: bool) -> Coroutine[Any, Any, None] | None:
        """Charge no more. What is returned settles, or releases where nothing was delivered."""
        self._closed = True
        hold = self._hold
        if not hold.amount:
            return None
        cost = 0
        if delivered:
            cost = self._price if self._charged is None else self._charged
        # Where the price has risen since the first try, what that set aside is all that it costs.
        return self._holds.settle(hold, max(0, min(cost - hold.paid, hold.amount)))


class Charging:
    """The middleware of routes with a price.

    Args:
        holds: where credits are set aside.
    """

    def __init__(self, holds: Holds) -> None:
        self._holds = holds

    async def serve(self, ctx: Context, call_next: Endpoint) -> None:
        """Serve a request for its price.

        Raises:
            InsufficientCredits: less is available; or was, when more was charged.
            RequestError: as the payload's decoding, `Context.authorize`, `Holds.reserve` or the
                handler do.
            UsageError: the price is not a whole number of at least 0.
        """
        route = ctx.route
        assert route is not None  # noqa: S101 - it has a price
        request = ctx.request
        if request is None:
            request = ctx.request = ctx.inbound.arguments.first(route.request)
        application_id = getattr(request, "application_id", None)
        if application_id is not None:
            await ctx.authorize(application_id)
        account = _account(ctx.session.identity.user_id, application_id or _DEFAULT)
        price = route.price
        if not isinstance(price, int):
            price = await _price_of(price, request)
        holds, repeat = self._holds, ctx.repeat
        hold = await holds.reserve(account, price, ctx.inbound.name, repeat)
        ctx.meter = meter = Meter(holds, hold, price, repeat)
        try:
            await call_next(ctx)
        except GeneratorExit:  # nothing can be waited for: it expires
            raise
        except BaseException:
            if (rest := meter.close(ctx.delivered)) is not None:
                await rest
            raise
        failed = ctx.failed if ctx.job is None else ctx.job.failed  # of one, nobody may be told
        if (rest := meter.close(ctx.delivered or failed is None)) is not None:
            await rest


async def _price_of(price: Any, request: Event) -> int:
    found = price(request)
    if isawaitable(found):
        found = await found
    if isinstance(found, bool) or not isinstance(found, int) or found < 0:
        name = request.event_name
        raise UsageError(f"{name!r} has the price {found!r}: it must be a whole number, 0 or more")
    return found
