"""A server that takes what `lbproto serve` is configured with; yours has plugins of its own."""

from typing import Any

from lbproto import Context, Event, Plugin, Server, StaticTokens


class Greet(Event):
    name: str


class Greeting(Event):
    text: str


def greeting() -> Plugin:
    plugin = Plugin("greeting")

    @plugin.on(Greet)
    async def greet(ctx: Context, request: Greet) -> Greeting:
        return Greeting(text=f"Hello {request.name}")

    return plugin


def make(**options: Any) -> Server:
    """Called once in every process, with what `[server]` says: pubsub, storage, settings..."""
    return Server([greeting()], auth=StaticTokens({"secret": "alice"}), **options)
