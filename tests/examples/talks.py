"""What two stock clients do with the pairs of the migration guide that look the same to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.examples.stock import Client

__all__ = ["THE_SAME", "Talk"]

Talk = Callable[[Client, Client], Awaitable[Any]]


async def hello(alice: Client, bob: Client) -> None:
    await alice.emit("greet", {"name": "Bob"})
    await alice.until("greeting")


async def events(alice: Client, bob: Client) -> None:
    await alice.emit("my_event", {"data": "a"})
    await alice.until("my_response")
    await alice.emit("my custom event", {"data": "b"})
    await alice.until("my custom response")


async def catch_all(alice: Client, bob: Client) -> None:
    await alice.emit("known", {"text": "a"})
    await alice.until("answer")
    await alice.emit("other", {"text": "b"}, 3)
    await alice.until("unknown")


async def emitting(alice: Client, bob: Client) -> None:
    await alice.emit("tell_me", {"text": "a"})
    await alice.until("news")
    await alice.emit("tell_user", {"userId": "bob", "text": "b"})
    await bob.until("news")
    await alice.emit("tell_all", {"text": "c"})
    for client in (alice, bob):
        await client.until("news", 2)


async def calling(alice: Client, bob: Client) -> None:
    alice.answers["question"] = "yes"
    await alice.emit("ask_me")
    await alice.until("heard")


async def rooms(alice: Client, bob: Client) -> None:
    for client in (alice, bob):
        await client.call("begin_chat")
    await alice.emit("my_message", {"text": "a"})
    await bob.until("my_reply")
    await bob.call("exit_chat")
    await alice.call("my_message", {"text": "nobody hears"})
    await bob.call("begin_chat")
    await bob.emit("my_message", {"text": "b"})
    await alice.until("my_reply")
    await alice.call("end_chat")
    await alice.call("my_message", {"text": "nobody hears"})


async def namespaces(alice: Client, bob: Client) -> None:
    await alice.emit("quote", {"symbol": "ACME"}, namespace="/market")
    await alice.until("price")
    await alice.emit("say", {"text": "a"}, namespace="/chat")
    await alice.until("said")


async def sessions(alice: Client, bob: Client) -> None:
    await alice.call("set_color", {"color": "red"})
    for client in (alice, bob):
        await client.emit("who_am_i")
        await client.until("you")


async def disconnecting(alice: Client, bob: Client) -> None:
    await alice.emit("disconnect request")
    await alice.until("disconnect")


async def scaling(alice: Client, bob: Client) -> None:
    await alice.emit("tell_all", {"text": "a"})
    for client in (alice, bob):
        await client.until("news")


async def raw(alice: Client, bob: Client) -> None:
    alice.seen.append(await alice.call("first", 1, {"a": [2]}, b"3"))
    await alice.emit("second", "x", namespace="/any")
    await alice.until("echo", 2)


async def whole(alice: Client, bob: Client) -> None:
    for client in (alice, bob):
        await client.until("my_response")
    for client in (alice, bob):
        await client.emit("join", {"room": "tea"})
        await client.until("my_response", 2)
    await alice.emit("my_event", {"data": "a"})
    await alice.until("my_response", 3)
    for event, data in (
        ("my_broadcast_event", {"data": "b"}),
        ("my_room_event", {"room": "tea", "data": "c"}),
    ):
        await alice.call(event, data)
    await bob.until("my_response", 4)
    await bob.emit("leave", {"room": "tea"})
    await bob.until("my_response", 5)
    await bob.call("close room", {"room": "tea"})
    await bob.call("my_room_event", {"room": "tea", "data": "nobody hears"})
    await alice.until("my_response", 6)
    await bob.emit("disconnect request")
    await bob.until("disconnect")


THE_SAME: dict[str, Talk] = {
    talk.__name__: talk
    for talk in (
        *(hello, events, catch_all, emitting, calling, rooms, namespaces, sessions),
        *(disconnecting, scaling, raw, whole),
    )
}
