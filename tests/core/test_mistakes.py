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
    Admission,
    Client,
    Context,
    ErrorEvent,
    Event,
    Identity,
    Internal,
    Job,
    Model,
    Plugin,
    Recovery,
    Server,
    Settings,
    Stages,
    StaticTokens,
    UsageError,
)
from lbproto.client import Bounds
from lbproto.messages import Subscribe
from lbproto.testing import Serve, connect
from lbproto.wire import Peer

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


# Servers and clients


class NotAsync:
    def authenticate(self, token: str, peer: Peer) -> Identity:
        return Identity(token)


async def of_a_token(token: str) -> Identity:
    return Identity(token)


def factory() -> Plugin:
    return Plugin("p")


async def layer(ctx: Context) -> None: ...


AUTHENTICATES = (
    r"^auth= takes an authenticator, such as .* `async def authenticate\(token, peer\)` "
)
MIDDLEWARE = r"^middleware is `async def middleware\(ctx, call_next\)`, .* not the function "


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"auth": None}, rf"{AUTHENTICATES}.* not None$"),
        ({"auth": "secret"}, rf"{AUTHENTICATES}.* not a value of type str$"),
        ({"auth": {"secret": "ada"}}, rf"{AUTHENTICATES}.* not a value of type dict$"),
        ({"auth": StaticTokens}, rf"{AUTHENTICATES}.* not the class StaticTokens$"),
        ({"auth": NotAsync()}, rf"{AUTHENTICATES}.* not a value of type NotAsync$"),
        ({"auth": of_a_token}, rf"{AUTHENTICATES}.* not the function of_a_token$"),
        ({"plugins": Plugin("p")}, r"write Server\(\[plugin\]\), not a value of type Plugin$"),
        ({"plugins": [factory]}, r"not the function factory: write factory\(\.\.\.\)$"),
        ({"plugins": ["chat"]}, "^a server takes plugins, not a value of type str$"),
        ({"middleware": layer}, r"write middleware=\[function\], not the function layer$"),
        ({"middleware": [layer]}, rf"{MIDDLEWARE}layer$"),
        ({"middleware": [print]}, rf"{MIDDLEWARE}print$"),
        ({"namespaces": "/chat"}, r"^namespaces= takes a list: write namespaces=\['/chat'\], "),
        ({"namespaces": ["chat"]}, "^a namespace begins with a slash: write '/chat', not 'chat'$"),
        ({"namespaces": [None]}, r"^namespaces= takes a list of str, not of None$"),
        ({"allowed_origins": "https://a.com"}, r"write allowed_origins=\['https://a.com'\], not"),
        ({"max_rooms": -1}, "^max_rooms is a whole number, 0 or more, not -1$"),
        ({"max_jobs": 1.5}, "^max_jobs is a whole number, 0 or more, not a value of type float$"),
    ],
)
def test_what_a_server_cannot_be_given(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Server(**{"auth": AUTH, **options})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Settings(ping_interval=-1),
            "^Settings: ping_interval is a number above 0, not -1",
        ),
        (
            lambda: Settings(max_payload=0),
            "^Settings: max_payload is a whole number above 0, not 0",
        ),
        (lambda: Settings(ping_timeout=float("nan")), "ping_timeout is a number above 0, not nan$"),
        (
            lambda: Settings(max_attachments=-1),
            "^Settings: max_attachments is a whole number, 0 or",
        ),
        (lambda: Settings(max_payload=True), "max_payload is .* not a value of type bool$"),
        (lambda: Recovery(window=-1), "^Recovery: window is a number above 0, not -1$"),
        (lambda: Recovery(grace=-1), "^Recovery: grace is a number, 0 or more, not -1$"),
        (lambda: Recovery(max_away=0), "^Recovery: max_away is a whole number above 0, not 0$"),
        (lambda: Recovery(grace=9, window=8), "the grace cannot be longer than the window$"),
        (lambda: Bounds(open_timeout=0), "^Bounds: open_timeout is a number above 0, not 0$"),
        (lambda: Admission(max_session_age=0), "^Admission: max_session_age is a number above 0"),
        (
            lambda: Admission(expiry="enforced"),  # type: ignore[arg-type]
            "^Admission: expiry is 'ignore' or 'enforce', not 'enforced'$",
        ),
        (
            lambda: Client("ws://example.com", wire="socketio"),  # type: ignore[arg-type]
            "^wire= is one of plain-json, plain-msgpack, .*socketio-msgpack, not 'socketio'$",
        ),
    ],
)
def test_bounds_that_are_none(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_a_function_authenticates() -> None:
    async def authenticate(token: str, peer: Peer) -> Identity:
        return Identity(token)

    Server(auth=authenticate)
