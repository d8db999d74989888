"""A server whose requests are traced: what tests of telemetry ask."""

from __future__ import annotations

import anyio

from lbproto import Context, ErrorEvent, Event, Job, NotFound, Plugin, Stages
from lbproto.logging import log_fields
from tests.core.telling import Told

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


class Buy(Event):
    item: str = "tea"


class Bought(Event):
    pass


class Dig(Event):
    pass


class Dug(Event):
    id: str


class DigFailed(ErrorEvent, kw_only=True):
    id: str


class News(Event):
    pass


def shop(told: list[Told] | None = None) -> Plugin:
    """Sells, digs for a second, and tells the news."""
    plugin = Plugin("shop")
    plugin.emits(News)

    @plugin.on(Buy)
    async def buy(ctx: Context, request: Buy) -> Bought:
        if request.item == "snow":
            raise NotFound("no snow")
        if request.item == "ghost":
            raise RuntimeError("the ledger's password is 1234")
        if request.item == "map":
            assert ctx.trace is not None
            ctx.trace.add("draw", 1_000, 2_000, {"process.pid": 7})
            assert log_fields(ctx)["trace"] in ctx.trace.parent
        if request.item == "watch" and told:
            with told[0].tracers.get_tracer("shop").start_as_current_span("wind"):
                await anyio.lowlevel.checkpoint()
        if request.item == "news":
            for _ in range(20):
                ctx.to("news").emit(News())
        return Bought()

    @plugin.room("news", announce=False)
    async def news(ctx: Context) -> None: ...

    @plugin.job(Dig, stages=Stages(success=Dug, failure=DigFailed, id="id"), timeout=60)
    async def dig(job: Job[Dig]) -> Dug:
        try:
            await anyio.sleep_forever()
        finally:
            raise NotFound("what was dug for")

    return plugin
