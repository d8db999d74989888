"""What has changed between two servers' contracts, and whom that breaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from lbproto import (
    Context,
    ErrorEvent,
    Event,
    Job,
    Limits,
    Model,
    Plugin,
    Server,
    Stages,
    StaticTokens,
    Tier,
    Window,
    conflate,
    drop_oldest,
)
from lbproto.contract import Change, Contract, asyncapi, describe, diff, read
from lbproto.ledger.memory import MemoryLedger

_EVENTS: Any = type(Event)

Told = tuple[str, str, str]


def contract_of(*plugins: Plugin, **options: Any) -> Contract:
    server = Server(plugins, auth=StaticTokens({}), credits=MemoryLedger(), **options)
    return read(msgspec.json.encode(asyncapi(describe(server))))


def changes(old: Contract, new: Contract) -> list[Change]:
    assert diff(old, old) == diff(new, new) == []
    return diff(old, new)


def told(found: Iterable[Change]) -> list[Told]:
    return [(change.severity, change.kind, change.path or change.about) for change in found]


def event(name: str, **fields: Any) -> type[Event]:
    """An event of this wire name; a field is a type, or a type and its default."""
    kinds = {field: kind[0] if isinstance(kind, tuple) else kind for field, kind in fields.items()}
    defaults = {field: kind[1] for field, kind in fields.items() if isinstance(kind, tuple)}
    namespace = {"__annotations__": kinds, "__module__": __name__, **defaults}
    made: type[Event] = _EVENTS("Payload", (Event,), namespace, event=name, kw_only=True)
    return made


def asked(**fields: Any) -> Contract:
    """Of a server that is asked for this."""
    plugin, request = Plugin("p"), event("order", **fields)

    async def order(ctx: Context, asked: Any) -> None:
        return None

    order.__annotations__["asked"] = request
    plugin.on(request)(order)
    return contract_of(plugin)


def sent(**fields: Any) -> Contract:
    """Of a server that sends this."""
    plugin = Plugin("p")
    plugin.emits(event("ordered", **fields))
    return contract_of(plugin)


Short = Annotated[str, Meta(max_length=5)]
Long = Annotated[str, Meta(max_length=50)]


class Nested(Model):
    text: str


class Wider(Model, tag="nested"):
    text: str | None


class Other(Model, tag="other"):
    number: int


class Tagged(Model, tag="nested"):
    text: str


# What a field was and is; what that means to a client that sends it, and to one that receives it.
FIELDS: list[tuple[dict[str, Any], dict[str, Any], list[str], list[str]]] = [
    ({"a": int}, {"a": int}, [], []),
    ({"a": int}, {}, ["breaking field-removed"], ["breaking field-removed"]),
    ({}, {"a": int}, ["breaking field-required"], ["compatible field-added"]),
    ({}, {"a": (int, 1)}, ["compatible field-added"], ["compatible field-added"]),
    ({"a": (int, 1)}, {"a": int}, ["breaking field-required"], ["compatible field-required"]),
    ({"a": int}, {"a": (int, 1)}, ["compatible field-optional", "notice default-changed"],
     ["breaking field-optional", "notice default-changed"]),
    ({"a": (int, 1)}, {"a": (int, 2)}, ["notice default-changed"], ["notice default-changed"]),
    ({"a": int}, {"a": str}, ["breaking type-narrowed", "compatible type-widened"],
     ["compatible type-narrowed", "breaking type-widened"]),
    ({"a": int}, {"a": int | None}, ["compatible type-widened"], ["breaking type-widened"]),
    ({"a": int | None}, {"a": int}, ["breaking type-narrowed"], ["compatible type-narrowed"]),
    ({"a": int}, {"a": float}, ["compatible type-widened"], ["breaking type-widened"]),
    ({"a": float}, {"a": int}, ["breaking type-narrowed"], ["compatible type-narrowed"]),
    ({"a": int}, {"a": Any}, ["compatible type-widened"], ["breaking type-widened"]),
    ({"a": Any}, {"a": int}, ["breaking type-narrowed"], ["compatible type-narrowed"]),
    ({"a": Short}, {"a": Long}, ["compatible bound-changed"], ["notice bound-loosened"]),
    ({"a": Long}, {"a": Short}, ["breaking bound-tightened"], ["compatible bound-changed"]),
    ({"a": Short}, {"a": str}, ["compatible bound-changed"], ["notice bound-loosened"]),
    ({"a": str}, {"a": Short}, ["breaking bound-tightened"], ["compatible bound-changed"]),
    ({"a": Literal["x"]}, {"a": Literal["x", "y"]}, ["compatible value-added"],
     ["breaking value-added"]),
    ({"a": Literal["x", "y"]}, {"a": Literal["x"]}, ["breaking value-removed"],
     ["compatible value-removed"]),
    ({"a": Literal["x"]}, {"a": str}, ["compatible values-unlisted"],
     ["breaking values-unlisted"]),
    ({"a": str}, {"a": Literal["x"]}, ["breaking values-listed"], ["compatible values-listed"]),
    ({"a": list[int]}, {"a": list[int | None]}, ["compatible type-widened"],
     ["breaking type-widened"]),
    ({"a": dict[str, int]}, {"a": dict[str, str]},
     ["breaking type-narrowed", "compatible type-widened"],
     ["compatible type-narrowed", "breaking type-widened"]),
    ({"a": tuple[int, str]}, {"a": tuple[int, str | None]}, ["compatible type-widened"],
     ["breaking type-widened"]),
    ({"a": tuple[int, int]}, {"a": list[int]},
     ["compatible bound-changed", "compatible bound-changed", "breaking type-changed"],
     ["notice bound-loosened", "notice bound-loosened", "breaking type-changed"]),
    ({"a": Tagged | Other}, {"a": Wider | Other}, ["compatible type-widened"],
     ["breaking type-widened"]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "to_server", "to_client"), FIELDS)
def test_a_field_by_the_way_it_goes(
    old: dict[str, Any], new: dict[str, Any], to_server: list[str], to_client: list[str]
) -> None:
    for make, expected in ((asked, to_server), (sent, to_client)):
        found = changes(make(**old), make(**new))
        assert [f"{change.severity} {change.kind}" for change in found] == expected
        assert {change.path.partition(".")[0] for change in found} <= {"$"}


def test_a_path_leads_into_what_is_nested() -> None:
    for make, direction in ((asked, "client → server"), (sent, "server → client")):
        (change,) = changes(make(a=list[Nested] | None), make(a=list[Inner] | None))
        assert (change.path, change.direction) == ("$.a[].text", direction)
        assert change.message == "it may be null, too"


class Inner(Model):
    text: str | None


def served(configure: Callable[[Plugin], None]) -> Contract:
    plugin = Plugin("p")
    configure(plugin)
    return contract_of(plugin)


class Ask(Event):
    key: str = ""
    other: str = ""


class Answered(Event):
    pass


class AnsweredToo(Event):
    pass


class Refused(ErrorEvent):
    pass


class Started(Event):
    job_id: str


class Moved(Event):
    job_id: str


class Succeeded(Event):
    job_id: str


def on(answer: Any = Answered, **options: Any) -> Contract:
    plugin = Plugin("p")

    async def handler(ctx: Context, request: Ask) -> Any:
        return None

    handler.__annotations__["return"] = answer
    plugin.on(Ask, **options)(handler)
    plugin.emits(Answered, AnsweredToo, Refused)
    return contract_of(plugin)


def job(*, timeout: float | None = None, **stages: Any) -> Contract:
    plugin = Plugin("p")

    async def handler(job: Job[Ask]) -> Any:
        return None

    handler.__annotations__["return"] = stages.get("success")
    plugin.job(Ask, stages=Stages(failure=Refused, **stages), timeout=timeout)(handler)
    plugin.emits(Answered, Started, Moved, Succeeded, AnsweredToo)
    return contract_of(plugin)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (on(), on(price=2), "notice price-raised"),
        (on(price=2), on(price=5), "notice price-raised"),
        (on(price=5), on(price=2), "compatible price-lowered"),
        (on(price=5), on(price=lambda request: 1), "notice price-raised"),
        (on(weight=2), on(weight=3), "notice weight-changed"),
        (on(weight=3), on(weight=2), "compatible weight-changed"),
        (on(), on(counted="session"), "notice counted-changed"),
        (on(), on(timeout=9), "notice timeout-changed"),
        (on(timeout=9), on(), "compatible timeout-changed"),
        (on(), on(repeatable=True), "notice repeats-changed"),
        (on(), on(refused=Refused), "breaking refusal-changed"),
        (on(), on(None), "breaking answer-removed"),
        (on(None), on(), "notice answer-added"),
        (on(), on(Answered | AnsweredToo), "breaking answer-added"),
        (job(success=Succeeded), job(success=Succeeded, start=Started), "compatible stage-changed"),
        (job(start=Started), job(), "breaking stage-changed"),
        (job(), job(group="key"), "notice group-changed"),
        (job(group="key"), job(group="other"), "breaking group-changed"),
        (job(), job(timeout=9), "notice timeout-changed"),
        (job(timeout=9), job(timeout=99), "compatible timeout-changed"),
        (job(group="key", waiting=3), job(group="key", waiting=1), "notice waiting-changed"),
    ],
)
def test_how_a_request_is_served(old: Contract, new: Contract, expected: str) -> None:
    found = [f"{change.severity} {change.kind}" for change in changes(old, new)]
    assert found == [expected]


def test_a_request_becomes_a_job() -> None:
    found = changes(on(None, refused=Refused), job(success=Succeeded))
    assert ("breaking", "job-changed", "ask") in told(found)


def test_what_is_gone_and_what_has_come() -> None:
    old, new = contract_of(Plugin("p")), on()
    assert told(changes(old, new)) == [
        ("compatible", "request-added", "ask"),
        *(("compatible", "event-added", name) for name in ("answered", "answered_too", "refused")),
    ]
    assert {change.severity for change in changes(new, old)} == {"breaking"}
    assert [change.kind for change in changes(new, old)] == ["request-removed"] + [
        "event-removed"
    ] * 3


@pytest.mark.parametrize(
    ("old", "new", "severity"),
    [
        ({}, {"overflow": drop_oldest}, "breaking"),
        ({"overflow": drop_oldest}, {"overflow": conflate(id)}, "notice"),
        ({"overflow": drop_oldest}, {}, "compatible"),
    ],
)
def test_what_becomes_of_an_event_when_a_client_is_slow(
    old: dict[str, Any], new: dict[str, Any], severity: str
) -> None:
    before, after = (
        served(lambda plugin, each=each: plugin.emits(Answered, **each))  # type: ignore[misc]
        for each in (old, new)
    )
    assert told(changes(before, after)) == [(severity, "overflow-changed", "answered")]


def room(answer: Any = None, pattern: str = "desk:{desk}", **options: Any) -> Contract:
    plugin = Plugin("p")

    async def join(ctx: Context, desk: str) -> Any:
        return None

    join.__annotations__["return"] = answer
    plugin.room(pattern, **options)(join)
    plugin.emits(Answered, Refused)
    return contract_of(plugin)


def own_room(**options: Any) -> Contract:
    plugin = Plugin("p")

    @plugin.room("own:{user_id*}", **options)
    async def join(ctx: Context, user_id: str) -> None: ...

    return contract_of(plugin)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (room(), room(pattern="table:{desk}"), ["breaking room-removed", "compatible room-added"]),
        (room(), room(announce=False), ["breaking announcing-changed"]),
        (room(announce=False), room(), ["compatible announcing-changed"]),
        (room(), room(refused=Refused), ["breaking refusal-changed"]),
        (own_room(), own_room(automatic=True), ["notice automatic-changed"]),
        (own_room(automatic=True), own_room(), ["breaking automatic-changed"]),
        (room(Answered), room(), ["breaking first-changed"]),
        (room(), room(Answered), ["notice first-changed"]),
    ],
)
def test_rooms(old: Contract, new: Contract, expected: list[str]) -> None:
    assert [f"{each.severity} {each.kind}" for each in changes(old, new)] == expected


def test_error_codes() -> None:
    whole = contract_of()
    codes = dict(whole.codes)
    del codes["TIMEOUT"]
    codes["NOT_FOUND"] = msgspec.structs.replace(codes["NOT_FOUND"], retryable=True)
    less = msgspec.structs.replace(whole, codes=codes)
    assert told(changes(whole, less)) == [
        ("breaking", "retryable-changed", "NOT_FOUND"),
        ("breaking", "code-removed", "TIMEOUT"),
    ]
    assert ("notice", "code-added", "TIMEOUT") in told(changes(less, whole))


def limited(*windows: Window, **options: Any) -> Contract:
    limits = Limits(tiers={"free": Tier(*windows)}, **options)
    return contract_of(limits=limits)


@pytest.mark.parametrize(
    ("old", "new", "severity"),
    [
        (limited(Window(60, 60)), limited(Window(30, 60)), "notice"),
        (limited(Window(30, 60)), limited(Window(60, 60)), "compatible"),
        (limited(Window(30, 60)), limited(), "compatible"),
        (limited(), limited(Window(30, 60)), "notice"),
        (limited(), limited(per_session=None), "compatible"),
        (contract_of(), contract_of(max_rooms=8), "notice"),
        (contract_of(), contract_of(max_jobs=80), "compatible"),
        (contract_of(), contract_of(recovery=None), "notice"),
    ],
)
def test_limits(old: Contract, new: Contract, severity: str) -> None:
    (change,) = changes(old, new)
    assert (change.severity, change.kind) == (severity, "limits-changed")
