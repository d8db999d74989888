"""Plugins: a handler's signature is read once, and a wrong one fails when it is registered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

import pytest

from lbproto import Context, ErrorEvent, Event, Plugin, Server, StaticTokens, UsageError
from lbproto.registry import Registry
from tests.core.harness import Hello, hello

if TYPE_CHECKING:
    from lbproto import Receipt as OnlyForTypeCheckers


class Order(Event):
    symbol: str


class OrderPlaced(Event):
    id: str


class OrderQueued(Event):
    id: str


class OrderError(ErrorEvent, kw_only=True):
    symbol: str


class ChatError(ErrorEvent, kw_only=True):
    conversation_id: str


def declared(plugin: Plugin) -> set[str]:
    registry = Registry()
    plugin.register(registry)
    return set(registry.emissions)


# Wrong handlers


def sync(ctx: Context, request: Order) -> OrderPlaced: ...  # type: ignore[empty-body]


async def nothing() -> None: ...


async def only_context(ctx: Context) -> None: ...


async def three(ctx: Context, request: Order, more: int = 0) -> None: ...


async def keyword(ctx: Context, *, request: Order) -> None: ...


async def swapped(request: Order, ctx: Context) -> None: ...


async def other_request(ctx: Context, request: OrderPlaced) -> None: ...


async def returns_text(ctx: Context, request: Order) -> str: ...  # type: ignore[empty-body]


async def returns_list(ctx: Context, request: Order) -> list[OrderPlaced]: ...  # type: ignore[empty-body]


async def unreadable(ctx: Context, request: Order) -> OnlyForTypeCheckers: ...  # type: ignore[empty-body]


EXPECTED = r"must have the signature \(ctx: Context, request: Order\)"


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (sync, "sync must be an async function"),
        (nothing, EXPECTED),
        (only_context, EXPECTED),
        (three, EXPECTED),
        (keyword, EXPECTED),
        (swapped, EXPECTED),
        (other_request, EXPECTED),
        (returns_text, "returns_text must return events or None, not <class 'str'>"),
        (returns_list, "returns_list must return events or None, not list"),
        (unreadable, "unreadable cannot be read .*OnlyForTypeCheckers.* at run time"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_handler_with_a_wrong_signature(handler: Any, message: str) -> None:
    plugin = Plugin("p")
    with pytest.raises(UsageError, match=message):
        plugin.on(Order)(handler)
    registry = Registry()
    plugin.register(registry)
    assert (registry.routes, registry.emissions) == ({}, {})


# Wrong rooms


def sync_room(ctx: Context, symbol: str) -> None: ...


async def no_placeholder(ctx: Context) -> None: ...


async def other_placeholder(ctx: Context, name: str) -> None: ...


async def too_many(ctx: Context, symbol: str, more: str = "") -> None: ...


async def positional(ctx: Context, symbol: str, /) -> None: ...


async def number(ctx: Context, symbol: int) -> None: ...


async def room_of_text(ctx: Context, symbol: str) -> str: ...  # type: ignore[empty-body]


EXPECTED_ROOM = r"must have the signature \(ctx: Context, symbol: str\)"


@pytest.mark.parametrize(
    ("join", "message"),
    [
        (sync_room, "sync_room must be an async function"),
        (no_placeholder, EXPECTED_ROOM),
        (other_placeholder, EXPECTED_ROOM),
        (too_many, EXPECTED_ROOM),
        (positional, EXPECTED_ROOM),
        (number, EXPECTED_ROOM),
        (room_of_text, "room_of_text must return events or None"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_room_with_a_wrong_signature(join: Any, message: str) -> None:
    plugin = Plugin("p")
    with pytest.raises(UsageError, match=message):
        plugin.room("market:{symbol}")(join)
    registry = Registry()
    plugin.register(registry)
    assert (registry.rooms, registry.emissions) == ([], {})


def test_a_refusal_that_the_request_cannot_fill() -> None:
    async def handler(ctx: Context, request: Order) -> None: ...

    async def join(ctx: Context, symbol: str) -> None: ...

    plugin = Plugin("p")
    with pytest.raises(UsageError, match="ChatError cannot refuse Order: give conversation_id"):
        plugin.on(Order, refused=ChatError)(handler)
    with pytest.raises(UsageError, match="OrderError cannot refuse Subscribe: give symbol a"):
        plugin.room("market:{symbol}", refused=OrderError)(join)
    plugin.on(Order, refused=OrderError)(handler)
    assert declared(plugin) == {"order_error"}


# Declarations


async def one(ctx: Context, request: Order) -> OrderPlaced: ...  # type: ignore[empty-body]


async def either(ctx: Context, request: Order) -> OrderPlaced | OrderQueued: ...  # type: ignore[empty-body]


async def or_none(ctx: Context, request: Order) -> OrderPlaced | None: ...


async def optional(ctx: Context, request: Order) -> Optional[OrderQueued]: ...  # noqa: UP045


async def none(ctx: Context, request: Order) -> None: ...


async def whatever(ctx: Context, request: Order) -> Any: ...


async def bare(ctx, request): ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    ("handler", "events"),
    [
        (one, {"order_placed"}),
        (either, {"order_placed", "order_queued"}),
        (or_none, {"order_placed"}),
        (optional, {"order_queued"}),
        (none, set()),
        (whatever, set()),
        (bare, set()),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_return_annotation_declares_events(handler: Any, events: set[str]) -> None:
    plugin = Plugin("p")
    assert plugin.on(Order)(handler) is handler
    assert declared(plugin) == events


def test_a_method_is_a_handler_too() -> None:
    class Desk:
        async def place(self, ctx: Context, request: Order) -> OrderPlaced:
            return OrderPlaced(id="1")

        async def join(self, ctx: Context, symbol: str) -> OrderQueued:
            return OrderQueued(id="1")

    plugin, desk = Plugin("p"), Desk()
    plugin.on(Order)(desk.place)
    plugin.room("orders:{symbol}")(desk.join)
    assert declared(plugin) == {"order_placed", "order_queued"}


def test_a_handler_of_another_module_is_read_there() -> None:
    plugin = Plugin("p")
    plugin.on(Hello)(hello)
    assert declared(plugin) == {"hello"}


def make_local(name: str) -> tuple[Plugin, type[Event]]:
    class Local(Event):
        id: str

    class Answer(Event):
        id: str

    class Snapshot(Event):
        id: str

    plugin = Plugin(name)

    @plugin.on(Local)
    async def handler(ctx: Context, request: Local) -> Answer | None: ...

    @plugin.room("local:{name}")
    async def join(ctx: Context, name: str) -> Snapshot:
        return Snapshot(id=name)

    return plugin, Local


def test_a_factory_may_define_its_events_itself() -> None:
    plugin, _ = make_local("p")
    assert declared(plugin) == {"answer", "snapshot"}


def test_each_call_of_a_factory_makes_a_plugin_of_its_own() -> None:
    (one, first), (two, second) = make_local("one"), make_local("two")
    assert first is not second
    registry = Registry()
    one.register(registry)
    with pytest.raises(UsageError, match=r"make_local.*of plugin 'one' and make_local.*are both"):
        two.register(registry)


# Servers


def server(*plugins: Plugin) -> Server:
    return Server(plugins, auth=StaticTokens({}))


def test_two_servers_share_nothing() -> None:
    plugin = Plugin("orders")
    plugin.on(Order)(one)
    with_orders, without = server(plugin), server()
    again = server(plugin)
    assert "order" in with_orders.registry.routes
    assert "order" in again.registry.routes
    assert "order" not in without.registry.routes
    assert "order_placed" not in without.registry.emissions
    assert with_orders.registry.rooms is not without.registry.rooms
    assert with_orders.runtime is not again.runtime


@pytest.mark.parametrize("names", [("a", "a"), ("a", "system")])
def test_two_plugins_of_one_name(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=f"two plugins are called {names[1]!r}"):
        server(*map(Plugin, names))


def test_a_plugin_cannot_answer_for_the_system_domain() -> None:
    class Ping(Event):
        pass

    plugin = Plugin("mine")

    @plugin.on(Ping)
    async def ping(ctx: Context, request: Ping) -> None: ...

    with pytest.raises(
        UsageError, match=r"ping of plugin 'system' and .*ping of plugin 'mine' both answer 'ping'$"
    ):
        server(plugin)
