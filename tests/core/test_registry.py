"""The registry: one name has one meaning, and a room's name says which family it is of."""

from __future__ import annotations

import re
import string
from types import new_class
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproto import (
    Context,
    Encoded,
    Event,
    NotFound,
    OverflowPolicy,
    UsageError,
    conflate,
    drop_oldest,
)
from lbproto.overflow import disconnect
from lbproto.registry import Emission, Registry, RoomPattern, Route


class Price(Event):
    value: int


class OtherPrice(Event, event="price"):
    value: int


async def handle(ctx: Context, request: Price) -> None: ...


async def join(ctx: Context) -> None: ...


def room(pattern: str, plugin: str = "p") -> RoomPattern:
    return RoomPattern(pattern, join, announce=True, refused=None, plugin=plugin)


# From records


class Page(Event):
    rows: Encoded


def test_an_event_is_restored_as_it_was_sent() -> None:
    registry = Registry()
    registry.add_emission(Emission(Page, disconnect, "one"))
    page = Page(rows=Encoded.of_json(b'[{"a":1}]'))
    assert registry.restored("page", msgspec.Raw(b'{"rows":[{"a":1}]}')) == page


@pytest.mark.parametrize(("name", "payload"), [("other", b"{}"), ("page", b"{}"), ("page", b"?")])
def test_what_its_plugin_does_not_send_any_more_is_not_restored(name: str, payload: bytes) -> None:
    registry = Registry()
    registry.add_emission(Emission(Page, disconnect, "one"))
    assert registry.restored(name, msgspec.Raw(payload)) is None


# Names


def test_two_plugins_cannot_answer_the_same_request() -> None:
    registry = Registry()
    registry.add_route(Route(Price, handle, None, "one"))
    with pytest.raises(
        UsageError, match=r"^handle of plugin 'one' and handle of plugin 'two' both answer 'price'$"
    ):
        registry.add_route(Route(OtherPrice, handle, None, "two"))


@pytest.mark.parametrize(
    "name",
    [
        "connect",
        "connect_error",
        "disconnect",
        "disconnecting",
        "newListener",
        "removeListener",
        "__disconnect_final",
        "ack",
    ],
)
def test_a_name_that_clients_take_for_something_else_is_a_mistake(name: str) -> None:
    event: Any = new_class("Order", (Event,), {"event": name})
    named = rf"^Order cannot be called '{name}', which is "
    with pytest.raises(UsageError, match=named):
        Registry().add_emission(Emission(event, disconnect, "p"))
    with pytest.raises(UsageError, match=named):
        Registry().add_route(Route(event, handle, None, "p"))


def leave(type_: Any, repeatable: bool) -> Route:
    """A request with a field of its own by the name of the protocol's."""
    fields = {"__annotations__": {"request_id": type_}}
    request: Any = new_class("Leave", (Event,), exec_body=lambda body: body.update(fields))
    return Route(request, handle, None, "p", repeatable)


@pytest.mark.parametrize("type_", [str, int, str | int, int | None, str | int | None], ids=str)
def test_what_tells_repeats_is_not_taken_for_something_else(type_: Any) -> None:
    """A handler would not run, and nobody would know why."""
    with pytest.raises(
        UsageError, match=r"^Leave\.request_id is `requestId` on the wire, by which"
    ):
        Registry().add_route(leave(type_, repeatable=False))
    Registry().add_route(leave(type_, repeatable=True))


@pytest.mark.parametrize(
    "type_", [str | None, Annotated[str, msgspec.Meta(max_length=64)] | None], ids=str
)
def test_a_handler_may_be_given_what_tells_repeats(type_: Any) -> None:
    Registry().add_route(leave(type_, repeatable=False))


def test_two_events_cannot_have_the_same_name() -> None:
    registry = Registry()
    registry.add_emission(Emission(Price, disconnect, "one"))
    with pytest.raises(
        UsageError, match=r"Price of plugin 'one' and OtherPrice of plugin 'two' are both .*'price'"
    ):
        registry.add_emission(Emission(OtherPrice, disconnect, "two"))


def by_value(price: Price) -> int:
    return price.value


@pytest.mark.parametrize("policy", [drop_oldest, conflate(by_value)])
def test_one_policy_and_any_number_of_defaults_are_that_policy(policy: OverflowPolicy) -> None:
    for order in ([policy, disconnect, disconnect], [disconnect, policy, policy]):
        registry = Registry()
        for each in order:
            registry.add_emission(Emission(Price, each, "p"))
        assert registry.emission(Price(value=1)).policy is policy


def test_two_policies_for_one_event_are_a_mistake() -> None:
    registry = Registry()
    registry.add_emission(Emission(Price, drop_oldest, "one"))
    with pytest.raises(UsageError, match="'price' is declared with two overflow policies"):
        registry.add_emission(Emission(Price, conflate(by_value), "two"))


# Emitting


def test_an_undeclared_event_raises_and_says_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"Price is not declared: add plugin.emits\(Price\)"):
        Registry().emission(Price(value=1))


def test_another_class_of_a_declared_name_is_undeclared() -> None:
    registry = Registry()
    registry.add_emission(Emission(Price, disconnect, "p"))
    with pytest.raises(UsageError, match="OtherPrice is not declared"):
        registry.emission(OtherPrice(value=1))


def test_a_lenient_registry_sends_what_nobody_declared() -> None:
    emission = Registry(strict=False).emission(Price(value=1))
    assert (emission.event, emission.policy) == (Price, disconnect)


# Rooms


@pytest.mark.parametrize(
    ("pattern", "name", "values"),
    [
        ("lobby", "lobby", {}),
        ("lobby", "lobby2", None),
        ("lobby", "Lobby", None),
        ("market:{symbol}", "market:ETH-USDT", {"symbol": "ETH-USDT"}),
        ("market:{symbol}", "market:", None),
        ("market:{symbol}", "market:ETH:1m", None),
        ("market:{symbol}", "market:ETH\n", {"symbol": "ETH\n"}),
        ("market:{symbol}", " market:ETH", None),
        ("{a}:{b}", "x:y", {"a": "x", "b": "y"}),
        ("{a}:{b}", "x:y:z", None),
        ("{a}-{b}", "x-y-z", {"a": "x-y", "b": "z"}),
        ("a.c", "a.c", {}),
        ("a.c", "abc", None),
        ("(x)+[y]*", "(x)+[y]*", {}),
        ("(x)+[y]*", "xxy", None),
        ("über:{name}", "über:ß", {"name": "ß"}),
        ("user:{id*}", "user:oidc:a:7", {"id": "oidc:a:7"}),
        ("user:{id*}", "user:", None),
        ("user:{id*}", "user:a\n", {"id": "a\n"}),
        ("{all*}:end", "a:b:end", {"all": "a:b"}),
    ],
)
def test_patterns(pattern: str, name: str, values: dict[str, str] | None) -> None:
    assert room(pattern).match(name) == values


part = st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"]), min_size=1)


@given(part, part, st.text(string.ascii_lowercase + ".*+?()[]|\\^$", min_size=1))
def test_a_room_made_from_a_pattern_is_read_back(one: str, two: str, literal: str) -> None:
    pattern = room(f"{literal}:{{one}}:{{two}}")
    assert pattern.placeholders == ["one", "two"]
    assert pattern.match(f"{literal}:{one}:{two}") == {"one": one, "two": two}
    assert pattern.match(f"{literal}:{one}:{two}:more") is None


def test_the_family_declared_first_has_the_room() -> None:
    registry = Registry()
    special, general = room("market:{symbol}"), room("{kind}:{name}")
    registry.add_room(special)
    registry.add_room(general)
    assert registry.room("market:ETH") == (special, {"symbol": "ETH"})
    assert registry.room("news:ETH") == (general, {"kind": "news", "name": "ETH"})


def test_a_room_of_no_family_is_not_found_and_the_families_are_named() -> None:
    registry = Registry()
    registry.add_room(room("market:{symbol}"))
    registry.add_room(room("lobby"))
    with pytest.raises(NotFound, match=r"Rooms here: market:\{symbol\}, lobby"):
        registry.room("nowhere")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{a}:{a}", "the room pattern '{a}:{a}' names a placeholder twice"),
        (
            "r:{X}",
            "'r:{X}' has '{X}', which is not a placeholder: write {name} or {name*}, in lower",
        ),
        ("r:{x:int}", "'r:{x:int}' has '{x:int}', which is not"),
        ("r:{}", "'r:{}' has '{}', which is not"),
        ("r:{x", "'r:{x' has '{', which is not"),
        ("r:x}", "'r:x}' has '}', which is not"),
        ("", "no room can be called like the pattern ''"),
        ("lbproto:{x}", "no room can be called like the pattern 'lbproto:{x}': names have 1 or"),
    ],
)
def test_a_pattern_that_no_room_has(pattern: str, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        room(pattern)


@pytest.mark.parametrize(
    ("first", "then", "taken"),
    [
        ("lobby", "lobby", True),
        ("r:{x}", "r:{y}", True),
        ("r:{x}", "r:lobby", True),
        ("r:lobby", "r:{x}", False),
        ("user:{id*}", "user:{x}", True),
        ("r:{x}", "r:{x*}", False),
        ("r:{x*}", "r:{a}:{b}", True),
        ("r:{a}:{b}", "r:{x*}", False),
        ("r:{x}", "r:{a}-{b}", True),
        ("r:{a}-{b}", "r:{x}", False),
        ("a:{x}", "b:{x}", False),
    ],
)
def test_rooms_that_are_all_taken_by_others(first: str, then: str, taken: bool) -> None:
    """Nobody could come into one of them: who was declared first is asked."""
    registry = Registry()
    registry.add_room(room(first, "one"))
    if not taken:
        registry.add_room(room(then, "two"))
        return
    with pytest.raises(UsageError) as error:
        registry.add_room(room(then, "two"))
    assert str(error.value) == (
        f"rooms {then!r} of plugin 'two' are all taken by {first!r} of plugin 'one': "
        "give them other names, or declare them first"
    )


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"value": 1}, "a value of type dict"),
        (Price, "the class Price"),
        ("price", "a value of type str"),
        (None, "None"),
    ],
)
def test_what_is_emitted_is_an_event(given: Any, shown: str) -> None:
    for strict in (True, False):
        with pytest.raises(
            UsageError, match=rf"^emit takes an event, as in emit\(Order\(...\)\), not {shown}$"
        ):
            Registry(strict=strict).emission(given)
