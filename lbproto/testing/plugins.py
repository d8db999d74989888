"""What every plugin has to do, whoever wrote it: subclass the suite, give it your plugin.

Like this::

    class TestMyPlugin(PluginSuite):
        @pytest.fixture
        def make_plugin(self) -> MakePlugin:
            return my_plugin

Needs pytest, with the fixtures of `lbproto.testing.fixtures`: every test runs under every event
loop. With jsonschema installed, events are held against their schemas as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from inspect import isawaitable
from typing import Any, ClassVar

import msgspec
import pytest

from lbproto.context import Context
from lbproto.contract import asyncapi, describe, json_schemas, typescript
from lbproto.encoded import decode_hook, json_hook, msgpack_hook
from lbproto.errors import ErrorCode
from lbproto.events import ErrorEvent, Event
from lbproto.ledger.account import MAX_AMOUNT
from lbproto.ledger.memory import MemoryLedger
from lbproto.limits.windows import PUBLISHED_TIERS
from lbproto.messages import Subscribe, Subscribed
from lbproto.plugin import Plugin
from lbproto.registry import Route
from lbproto.server import Server
from lbproto.testing.client import Client, connect
from lbproto.testing.clock import VirtualClock, settle
from lbproto.testing.codecs import Wire
from lbproto.testing.plugin_samples import Unsampled, malformed, sample
from lbproto.testing.serving import AnyToken, Serve

__all__ = ["MakePlugin", "PluginSuite"]

MakePlugin = Callable[[], Plugin]
"""Makes the plugin, anew each time."""

_SYSTEM = "system"
_CREDITS = 1_000_000
_WIRES: tuple[Wire, ...] = ("plain-msgpack", "socketio-json")


class PluginSuite:
    """Conformance of a `Plugin`: override `make_plugin`, and `options` if it needs more.

    Attributes:
        examples: events to try where none can be made up, as where a field has a pattern, or
            where fields have to fit each other; a class that is here is not made up.
        seconds: of virtual time for which the plugin runs before it is stopped.
    """

    pytestmark = pytest.mark.anyio

    examples: ClassVar[Sequence[Event]] = ()
    seconds: ClassVar[float] = 2.0

    @pytest.fixture
    def make_plugin(self) -> MakePlugin:
        """The plugin under test."""
        raise NotImplementedError

    @pytest.fixture
    def options(self) -> dict[str, Any]:
        """Options of `Server` beside those that tests have; here, credits in memory."""
        return {"credits": MemoryLedger()}

    @pytest.fixture
    def described(self, make_plugin: MakePlugin, options: dict[str, Any]) -> Server:
        """A server with the plugin, that does not run."""
        return Server([make_plugin()], auth=AnyToken(), **options)

    # What it declares

    def test_its_contract_can_be_written(self, described: Server) -> None:
        contract = describe(described)
        assert asyncapi(contract)["components"]
        assert typescript(contract)

    def test_events_are_the_same_in_both_formats(self, described: Server) -> None:
        for event in self._samples(described, *_classes(described)):
            kind = type(event)
            text = msgspec.json.encode(event, enc_hook=json_hook)
            packed = msgspec.msgpack.encode(event, enc_hook=msgpack_hook)
            assert msgspec.json.decode(text, type=kind, dec_hook=decode_hook) == event
            assert msgspec.msgpack.decode(packed, type=kind, dec_hook=decode_hook) == event

    def test_events_fit_their_schemas(self, described: Server) -> None:
        jsonschema = pytest.importorskip("jsonschema")
        schemas = json_schemas(describe(described))
        known = {**schemas["serverToClient"], **schemas["clientToServer"]}
        for event in self._samples(described, *_classes(described)):
            payload = msgspec.json.decode(msgspec.json.encode(event, enc_hook=json_hook))
            jsonschema.Draft202012Validator(known[event.event_name]).validate(payload)

    async def test_prices_and_weights_can_be_paid(self, described: Server) -> None:
        bursts = [window.burst for tier in PUBLISHED_TIERS.values() for window in tier.windows]
        for route in _routes(described):
            name = route.request.event_name
            assert route.weight <= min(bursts), f"no published tier lets `{name}` through"
            for request in self._samples(described, route.request):
                price = route.price(request) if callable(route.price) else route.price or 0
                price = await price if isawaitable(price) else price
                assert type(price) is int, f"`{name}` costs {price!r}: whole numbers only"
                assert 0 <= price <= MAX_AMOUNT, f"`{name}` costs {price}"

    # What it does

    async def test_malformed_payloads_are_refused_in_the_envelope(
        self, serve: Serve, make_plugin: MakePlugin, options: dict[str, Any]
    ) -> None:
        async with (
            _running(serve, make_plugin, options) as server,
            connect(server, "ann", wire="plain-msgpack") as ann,
            connect(server, "bob", wire="socketio-json") as bob,
        ):
            contract = describe(server)
            schemas = {each.event: contract.schemas[each.schema] for each in contract.requests}
            for route in _routes(server):
                name = route.request.event_name
                for payload in malformed(schemas[name], contract.schemas):
                    if _fits(payload, route.request):
                        continue
                    for client in (ann, bob):
                        answer = await client.request({"event": name, "data": payload})
                        assert isinstance(answer, ErrorEvent), f"{payload!r:.200}: {answer!r}"
                        assert answer.code == ErrorCode.INVALID_REQUEST, f"{payload!r:.200}"

    @pytest.mark.parametrize("wire", _WIRES)
    async def test_requests_are_served_or_refused_never_broken(
        self, wire: Wire, serve: Serve, make_plugin: MakePlugin, options: dict[str, Any]
    ) -> None:
        """Also requests that make no sense; an undeclared event counts as a break too."""
        async with _running(serve, make_plugin, options) as server:
            for route in _routes(server):
                for request in self._samples(server, route.request):
                    async with connect(server, "ann", wire=wire) as client:
                        client.emit(request)
                        _none_is_internal(await client.take(), request)

    async def test_rooms_are_entered_or_refused(
        self, serve: Serve, make_plugin: MakePlugin, options: dict[str, Any]
    ) -> None:
        async with (
            _running(serve, make_plugin, options) as server,
            connect(server, "ann") as client,
        ):
            answer = await _subscribe(client, "no such family of rooms")
            assert isinstance(answer, ErrorEvent)
            assert answer.code == ErrorCode.NOT_FOUND
            for room in server.registry.rooms:
                if room.plugin == _SYSTEM:
                    continue
                for value in ("nowhere", "\0", "é" * 20, "*", "../..", "{}"):
                    name = room.pattern
                    for each in room.placeholders:
                        name = name.replace(f"{{{each}}}", value).replace(f"{{{each}*}}", value)
                    answer = await _subscribe(client, name)
                    assert isinstance(answer, ErrorEvent | Subscribed), f"{name!r}: {answer!r}"
                if room.example:
                    assert isinstance(await _subscribe(client, room.example), Subscribed)
            _none_is_internal(await client.take(), Subscribe("a room"))

    async def test_it_starts_and_stops_and_leaves_nothing(
        self,
        serve: Serve,
        make_plugin: MakePlugin,
        options: dict[str, Any],
        clock: VirtualClock,
    ) -> None:
        before = _tasks()
        for _ in range(2):
            async with _running(serve, make_plugin, options):
                await clock.advance(self.seconds)
            await settle()
        assert clock.sleepers == 0, "somebody sleeps on after the server has stopped"
        assert _tasks() <= before, "tasks go on after the server has stopped"

    async def test_two_servers_share_nothing_that_clashes(
        self, serve: Serve, make_plugin: MakePlugin, options: dict[str, Any]
    ) -> None:
        async with (
            _running(serve, make_plugin, options),
            serve(make_plugin(), **options) as other,
            connect(other, "ann") as client,
        ):
            assert client.connected.user_id == "ann"

    def _samples(self, server: Server, *kinds: type[Event]) -> Iterator[Event]:
        """Two events of each class, or those that `examples` has of it."""
        contract = describe(server)
        named = {each.event: each.schema for each in contract.events}
        named |= {each.event: each.schema for each in contract.requests}
        for kind in kinds:
            given = [event for event in self.examples if type(event) is kind]
            yield from given
            for full in () if given else (False, True):
                schema = contract.schemas[named[kind.event_name]]
                try:
                    value = sample(schema, contract.schemas, full=full)
                    yield msgspec.convert(value, kind, dec_hook=decode_hook)
                except (Unsampled, msgspec.ValidationError) as error:
                    pytest.fail(
                        f"no {kind.__name__} can be made up ({error}): "
                        f"put one into `examples` of {type(self).__name__}"
                    )


@asynccontextmanager
async def _running(
    serve: Serve, make_plugin: MakePlugin, options: dict[str, Any]
) -> AsyncIterator[Server]:
    """A server with the plugin, and with credits for "ann"; no request may fail by its fault."""
    broken: list[str] = []

    def failed(ctx: Context, incident: str) -> None:
        broken.append(f"`{ctx.inbound.shown_name}` failed (incident {incident} in the log)")

    async with serve(make_plugin(), **options) as server:
        server.incidents.append(failed)
        if options.get("credits") is not None:
            await server.credits.grant("ann", _CREDITS, "to try", transaction_id="to-try")
        yield server
        await settle()
    assert broken == []


async def _subscribe(client: Client, room: str) -> Event | None:
    return await client.request(Subscribe(room=room))


def _routes(server: Server) -> list[Route]:
    return [route for route in server.registry.routes.values() if route.plugin != _SYSTEM]


def _classes(server: Server) -> list[type[Event]]:
    """The plugin's own, in both directions."""
    sent = (each for each in server.registry.emissions.values() if each.plugin != _SYSTEM)
    return [*(route.request for route in _routes(server)), *(each.event for each in sent)]


def _fits(payload: Any, request: type[Event]) -> bool:
    if payload is None:  # as where none is sent: it has no fields
        payload = {}
    try:
        msgspec.convert(payload, request, dec_hook=decode_hook)
    except msgspec.ValidationError:
        return False
    return True


def _none_is_internal(events: Sequence[Event], request: Event) -> None:
    for event in events:
        if isinstance(event, ErrorEvent):
            assert event.code != ErrorCode.INTERNAL, f"{request!r}: {event!r}"


def _tasks() -> frozenset[int]:
    """What runs now, by identity."""
    try:
        return frozenset(map(id, asyncio.all_tasks()))
    except RuntimeError:
        from trio.lowlevel import Task, current_root_task

        def beneath(task: Task) -> Iterator[int]:
            yield id(task)
            for nursery in task.child_nurseries:
                for child in nursery.child_tasks:
                    yield from beneath(child)

        root = current_root_task()
        return frozenset(beneath(root)) if root is not None else frozenset()
