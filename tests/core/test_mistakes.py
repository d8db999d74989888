"""Typical mistakes: each is refused where it is made, with a sentence that says what to write.

Where a type checker finds it as well, it has to be told to ignore the line: mypy fails for a remark
that is not needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import pytest

from lbproto import (
    Context,
    ErrorEvent,
    Event,
    Internal,
    Job,
    Model,
    Plugin,
    Server,
    Stages,
    StaticTokens,
    UsageError,
)
from lbproto.messages import Subscribe
from lbproto.testing import Serve, connect

AUTH = StaticTokens({"secret": "ada"})


class Order(Event):
    symbol: str


class OrderPlaced(Event):
    id: str


class OrderFailed(ErrorEvent):
    job_id: str


class Point(Model):
    x: int


# Plugins


def without_a_request(plugin: Plugin) -> None:
    @plugin.on  # type: ignore[type-var, arg-type]
    async def place(ctx: Context, request: Order) -> OrderPlaced: ...  # type: ignore[empty-body]


def a_name_for_a_request(plugin: Plugin) -> None:
    plugin.on("order")  # type: ignore[arg-type]


def a_model_for_a_request(plugin: Plugin) -> None:
    plugin.on(Point)  # type: ignore[type-var]


def no_stages(plugin: Plugin) -> None:
    plugin.job(Order, stages=OrderFailed)  # type: ignore[arg-type]


def a_failure_without_an_envelope(plugin: Plugin) -> None:
    plugin.job(Order, stages=Stages(failure=OrderPlaced))  # type: ignore[arg-type]


def an_event_for_a_stage(plugin: Plugin) -> None:
    done: Any = OrderPlaced(id="1")
    plugin.job(Order, stages=Stages(failure=OrderFailed, success=done))


def a_refusal_without_an_envelope(plugin: Plugin) -> None:
    plugin.on(Order, refused=OrderPlaced)  # type: ignore[arg-type]


def an_event_emitted_for_its_class(plugin: Plugin) -> None:
    plugin.emits(OrderPlaced(id="1"))  # type: ignore[arg-type]


def a_name_emitted(plugin: Plugin) -> None:
    plugin.emits("order_placed")  # type: ignore[arg-type]


def not_async(plugin: Plugin) -> None:
    @plugin.on(Order)  # type: ignore[arg-type]
    def place(ctx: Context, request: Order) -> OrderPlaced: ...  # type: ignore[empty-body]


def yielding(plugin: Plugin) -> None:
    @plugin.on(Order)  # type: ignore[arg-type]
    async def place(ctx: Context, request: Order) -> AsyncIterator[OrderPlaced]:
        yield OrderPlaced(id="1")


def another_context(plugin: Plugin) -> None:
    @plugin.on(Order)  # type: ignore[arg-type]
    async def place(ctx: int, request: Order) -> None: ...


def another_request(plugin: Plugin) -> None:
    @plugin.on(Order)  # type: ignore[arg-type]
    async def place(ctx: Context, request: OrderPlaced) -> None: ...


def another_answer(plugin: Plugin) -> None:
    @plugin.on(Order)  # type: ignore[type-var]
    async def place(ctx: Context, request: Order) -> dict[str, str]: ...  # type: ignore[empty-body]


def a_method_of_a_class(plugin: Plugin) -> None:
    class Desk:
        @plugin.on(Order)  # type: ignore[arg-type]
        async def place(self, ctx: Context, request: Order) -> None: ...  # type: ignore[misc]


def the_job_of_another_request(plugin: Plugin) -> None:
    @plugin.job(Order, stages=Stages(failure=OrderFailed))  # type: ignore[arg-type]
    async def place(job: Job[OrderPlaced]) -> None: ...


def a_job_like_a_request(plugin: Plugin) -> None:
    @plugin.job(Order, stages=Stages(failure=OrderFailed))  # type: ignore[arg-type]
    async def place(ctx: Context, request: Order) -> None: ...


def a_room_without_a_context(plugin: Plugin) -> None:
    @plugin.room("orders:{symbol}")  # type: ignore[arg-type]
    async def join(symbol: str) -> None: ...


def a_room_that_tells_a_model(plugin: Plugin) -> None:
    @plugin.room("orders:{symbol}")  # type: ignore[type-var]
    async def join(ctx: Context, symbol: str) -> Point: ...  # type: ignore[empty-body]


def a_room_with_its_name_in_other_brackets(plugin: Plugin) -> None:
    @plugin.room("orders:<symbol>")
    async def join(ctx: Context, symbol: str) -> None: ...


SIGNATURE = r"must have the signature \(ctx: Context, request: Order\)"


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (without_a_request, r"^write @plugin\.on\(Order\), .*, not the function .*place$"),
        (a_name_for_a_request, r"^write @plugin\.on\(Order\), .*, not a value of type str$"),
        (a_model_for_a_request, r"^write @plugin\.on\(Order\), .*, not the class Point$"),
        (no_stages, r"^stages= takes Stages\(failure=\.\.\., \.\.\.\), not the class OrderFailed$"),
        (a_failure_without_an_envelope, r"takes a subclass of ErrorEvent, not the class OrderPl"),
        (an_event_for_a_stage, "takes classes of events, not an instance of OrderPlaced$"),
        (a_refusal_without_an_envelope, r"^refused= takes a subclass of ErrorEvent, not the class"),
        (an_event_emitted_for_its_class, r"plugin\.emits\(Order\), not an instance of OrderPlaced"),
        (a_name_emitted, r"plugin\.emits\(Order\), not a value of type str$"),
        (not_async, r"place must be an async function; where .* await anyio\.to_thread\.run_sync"),
        (yielding, r"place yields: have it return one event, and send others by ctx\.emit$"),
        (another_context, rf"place\(ctx: 'int', .*{SIGNATURE}$"),
        (another_request, rf"place\(.*'OrderPlaced'\).*{SIGNATURE}$"),
        (another_answer, r"place must return events or None, not dict\[str, str\]$"),
        (a_method_of_a_class, rf"{SIGNATURE}: declare the method of an instance$"),
        (the_job_of_another_request, r"must have the signature \(job: Job\[Order\]\)$"),
        (a_job_like_a_request, r"must have the signature \(job: Job\[Order\]\)$"),
        (
            a_room_without_a_context,
            r"signature \(ctx: Context, symbol: str\) for rooms 'orders:{sy",
        ),
        (a_room_that_tells_a_model, r"join must return events or None, not <class '.*Point'>$"),
        (a_room_with_its_name_in_other_brackets, r"signature \(ctx: Context\) for rooms 'orders:<"),
    ],
)
def test_what_a_plugin_cannot_declare(mistake: Callable[[Plugin], None], message: str) -> None:
    plugin = Plugin("orders")
    with pytest.raises(UsageError, match=message):
        mistake(plugin)
    assert not Server([plugin], auth=AUTH).registry.routes.get("order")


def on_late(plugin: Plugin) -> None:
    @plugin.on(Order)
    async def place(ctx: Context, request: Order) -> None: ...


def job_late(plugin: Plugin) -> None:
    @plugin.job(Order, stages=Stages(failure=OrderFailed))
    async def place(job: Job[Order]) -> None: ...


def room_late(plugin: Plugin) -> None:
    @plugin.room("orders:{symbol}")
    async def join(ctx: Context, symbol: str) -> None: ...


def emits_late(plugin: Plugin) -> None:
    plugin.emits(OrderPlaced)


@pytest.mark.parametrize("declare", [on_late, job_late, room_late, emits_late])
def test_what_is_declared_when_the_server_is_made_already(
    declare: Callable[[Plugin], None],
) -> None:
    plugin = Plugin("orders")
    Server([plugin], auth=AUTH)
    with pytest.raises(
        UsageError, match=r"^plugin 'orders' is .* declare it before Server\(\.\.\.\)"
    ):
        declare(plugin)


async def never_yielding(server: Server) -> None: ...


async def bare(server: Server) -> AsyncIterator[None]:
    yield


@asynccontextmanager
async def of_nothing() -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize("lifespan", [never_yielding, bare, of_nothing, of_nothing()])
def test_a_lifespan_that_cannot_be_entered(lifespan: Any) -> None:
    with pytest.raises(UsageError, match="the lifespan of plugin 'p' must be an @asynccontextmana"):
        Plugin("p", lifespan=lifespan)
    plugin = Plugin("p")
    plugin.lifespan = lifespan
    with pytest.raises(UsageError, match="the lifespan of plugin 'p' must be an @asynccontextmana"):
        Server([plugin], auth=AUTH)


def test_what_can_be_called_like_a_function_is_a_handler() -> None:
    class Desk:
        async def __call__(self, ctx: Context, request: Order) -> OrderPlaced:
            return OrderPlaced(id="1")

    async def place(desk: Desk, ctx: Context, request: Order) -> OrderPlaced:
        return await desk(ctx, request)

    async def untyped(ctx: object, request: Any) -> OrderPlaced:
        return OrderPlaced(id="1")

    for handler in (Desk(), partial(place, Desk()), untyped):
        plugin = Plugin("p")
        plugin.on(Order)(handler)
        route = Server([plugin], auth=AUTH).registry.routes["order"]
        assert route.answers == (OrderPlaced,)


# What handlers return


class Done(Event):
    job_id: str


class Ask(Event):
    """A job."""


async def place_unannotated(ctx: Context, request: Order) -> Any:
    return {"id": "1"}


async def work_unannotated(job: Job[Ask]) -> Done:
    done: Any = Done
    return done  # type: ignore[no-any-return]


async def join_unannotated(ctx: Context, symbol: str) -> Any:
    return symbol


@pytest.mark.anyio
async def test_what_a_handler_returns_is_told_with_its_name(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = Plugin("orders")
    plugin.on(Order)(place_unannotated)
    plugin.job(Ask, stages=Stages(failure=OrderFailed, success=Done))(work_unannotated)
    plugin.room("orders:{symbol}")(join_unannotated)
    async with serve(plugin) as server, connect(server, "ada", check=False) as client:
        for request in (Order("btc"), Ask(), Subscribe(room="orders:btc")):
            with suppress(Internal):  # a job's failure is an answer
                await client.request(request)
    told = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert told == [
        "place_unannotated must return an event or None, not a value of type dict",
        "work_unannotated must return an event or None, not the class Done",
        "join_unannotated must return an event or None, not a value of type str",
    ]
