"""The middleware fold, and how whatever goes wrong becomes one envelope."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import anyio
import pytest

from lbproto import (
    Cancelled,
    Context,
    Endpoint,
    ErrorEvent,
    Event,
    InsufficientCredits,
    InvalidRequest,
    LimitExceeded,
    Middleware,
    NotFound,
    Overloaded,
    Plugin,
    RateLimited,
    RequestError,
    RequestTimeout,
    Unauthorized,
)
from tests.core.harness import Sent, connected, running

pytestmark = pytest.mark.anyio

REFUSALS: list[type[RequestError]] = [  # an INTERNAL is an incident: tests/core/test_logging.py
    Cancelled,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    Overloaded,
    RateLimited,
    RequestTimeout,
    Unauthorized,
]
refusals = pytest.mark.parametrize("refusal", REFUSALS)


class Query(Event):
    query_id: str = "q1"
    message: str = "the request's own"
    rows: int = 0


class Answer(Event):
    pass


class QueryError(ErrorEvent, kw_only=True):
    query_id: str


class NamedError(ErrorEvent, kw_only=True):
    rows: int
    event: str


def answering(
    fail: Callable[[], Exception | None] = lambda: None, refused: type[ErrorEvent] | None = None
) -> Plugin:
    plugin = Plugin("p")

    @plugin.on(Query, refused=refused)
    async def query(ctx: Context, request: Query) -> Answer:
        error = fail()
        if error is not None:
            raise error
        return Answer()

    return plugin


# The fold


async def test_middleware_runs_outside_in_and_sees_the_request_undecoded() -> None:
    seen: list[tuple[str, object]] = []

    def layer(name: str) -> Middleware:
        async def middleware(ctx: Context, call_next: Endpoint) -> None:
            seen.append((f"{name} in", ctx.request))
            await call_next(ctx)
            seen.append((f"{name} out", ctx.request))

        return middleware

    async with running(answering(), middleware=iter([layer("a"), layer("b")])) as server:
        client = await connected(server)
        for _ in range(2):  # folded once, from any iterable
            assert await client.ask("query", {"rows": 3}) == [Sent("answer", {})]
            request = Query(rows=3)
            assert seen == [("a in", None), ("b in", None), ("b out", request), ("a out", request)]
            seen.clear()


async def test_middleware_sees_what_it_can_count_before_the_payload_is_decoded() -> None:
    seen: list[tuple[object, ...]] = []

    async def count(ctx: Context, call_next: Endpoint) -> None:
        seen.append((ctx.inbound.name, ctx.route and ctx.route.plugin, ctx.user_id, ctx.answered))
        await call_next(ctx)

    async with running(answering(), middleware=[count]) as server:
        client = await connected(server)
        await client.ask("query", {"rows": "many"})
        await client.ask("unknown")
        assert seen == [("query", "p", "ada", False), ("unknown", None, "ada", False)]


async def test_a_refusal_by_middleware_keeps_the_handler_from_running() -> None:
    async def refuse(ctx: Context, call_next: Endpoint) -> None:
        raise RateLimited("slow down", retry_after=1.2)

    def never() -> Exception:
        raise AssertionError("the handler ran")

    async with running(answering(never, QueryError), middleware=[refuse]) as server:
        client = await connected(server)
        envelope = {"code": "RATE_LIMITED", "message": "slow down", "retryAfter": 2}
        assert await client.ask("query", "not even an object", ack=0) == [
            Sent("rate_limit_error", {**envelope, "event": "query"}),
            Sent("ack", {"ok": False, "error": envelope}, 0),
        ]


async def test_errors_of_middleware_are_answered_because_error_handling_is_outermost() -> None:
    async def broken(ctx: Context, call_next: Endpoint) -> None:
        await call_next(ctx)
        raise ZeroDivisionError

    async with running(answering(), middleware=[broken]) as server:
        client = await connected(server)
        answer, error, ack = sorted(await client.ask("query", ack=1), key=order)
        assert (answer.name, error.name) == ("answer", "error")
        assert ack == Sent("ack", {"ok": True, "event": "answer", "data": {}}, 1)


def order(sent: Sent) -> int:
    return ["answer", "error", "ack"].index(sent.name)


async def test_middleware_may_answer_by_itself() -> None:
    async def cached(ctx: Context, call_next: Endpoint) -> None:
        ctx.emit(Answer())

    async with running(answering(ZeroDivisionError), middleware=[cached]) as server:
        client = await connected(server)
        assert [sent.name for sent in await client.ask("query", ack=1)] == ["answer", "ack"]


# Refusals


@refusals
async def test_a_refusal_without_an_event_of_its_own(refusal: type[RequestError]) -> None:
    general = {RateLimited: "rate_limit_error", InvalidRequest: "validation_error"}
    async with running(answering(lambda: refusal("because"))) as server:
        client = await connected(server)
        envelope = {"code": refusal.code, "message": "because"}
        assert await client.ask("query", ack=7) == [
            Sent(general.get(refusal, "error"), {**envelope, "event": "query"}),
            Sent("ack", {"ok": False, "error": envelope}, 7),
        ]


@refusals
async def test_a_refusal_by_the_domains_event(refusal: type[RequestError]) -> None:
    """A throttle is told by its own event in every domain; all else by the domain's."""
    plugin = answering(lambda: refusal("because", retry_after=0.1), QueryError)
    async with running(plugin) as server:
        client = await connected(server)
        envelope = {"code": refusal.code, "message": "because", "retryAfter": 1}
        event, ack = await client.ask("query", {"queryId": "q7"}, ack=7)
        if refusal is RateLimited:
            assert event == Sent("rate_limit_error", {**envelope, "event": "query"})
        else:
            assert event == Sent("query_error", {**envelope, "queryId": "q7"})
        assert ack == Sent("ack", {"ok": False, "error": envelope}, 7)


@pytest.mark.parametrize("refused", [None, QueryError])
async def test_too_few_credits_are_told_alike_in_every_domain(
    refused: type[ErrorEvent] | None,
) -> None:
    plugin = answering(lambda: InsufficientCredits("poor", required=7, available=2), refused)
    async with running(plugin) as server:
        client = await connected(server)
        assert await client.ask("query", ack=7) == [
            Sent("insufficient_credits", {"required": 7, "available": 2, "action": "query"}),
            Sent(
                "ack",
                {"ok": False, "error": {"code": "INSUFFICIENT_CREDITS", "message": "poor"}},
                7,
            ),
        ]


async def test_a_domains_event_repeats_any_field_and_the_requests_name() -> None:
    async with running(answering(lambda: NotFound("no"), NamedError)) as server:
        client = await connected(server)
        assert await client.ask("query", {"rows": 3}) == [
            Sent("named_error", {"code": "NOT_FOUND", "message": "no", "rows": 3, "event": "query"})
        ]


async def test_a_payload_that_fails_its_schema_is_no_matter_of_the_domain() -> None:
    async with running(answering(refused=QueryError)) as server:
        client = await connected(server)
        (refusal,) = await client.ask("query", {"rows": "many"})
        assert refusal.name == "validation_error"


# Failures


@pytest.mark.parametrize("refused", [None, QueryError])
async def test_a_failure_is_told_as_an_incident_that_the_log_has_too(
    caplog: pytest.LogCaptureFixture, refused: type[ErrorEvent] | None
) -> None:
    secret = "password=hunter2"
    async with running(answering(lambda: ValueError(secret), refused)) as server:
        client = await connected(server)
        event, ack = await client.ask("query", ack=1)
    assert event.name == ("query_error" if refused else "error")
    assert event.data["code"] == ack.data["error"]["code"] == "INTERNAL"
    assert event.data["message"] == ack.data["error"]["message"]
    assert secret not in repr((event, ack))
    assert "ValueError" not in repr((event, ack))
    found = re.search(r"incident ([0-9a-f]{16})", event.data["message"])
    assert found is not None
    (record,) = (each for each in caplog.records if found[1] in each.getMessage())
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert secret in str(record.exc_info[1])


async def test_an_undeclared_event_is_an_incident_in_a_strict_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Undeclared(Event):
        pass

    plugin = Plugin("p")

    @plugin.on(Query)
    async def query(ctx: Context, request: Query) -> None:
        ctx.emit(Undeclared())

    async with running(plugin) as server:
        client = await connected(server)
        (event,) = await client.ask("query")
        assert event.data["code"] == "INTERNAL"
        assert "add plugin.emits(" in caplog.text
    async with running(plugin, strict=False) as server:
        client = await connected(server)
        assert await client.ask("query") == [Sent("undeclared", {})]


async def test_cancellation_goes_through() -> None:
    plugin = Plugin("p")

    @plugin.on(Query)
    async def query(ctx: Context, request: Query) -> None:
        await anyio.sleep_forever()

    async with running(plugin) as server:
        client = await connected(server)
        with anyio.move_on_after(0.01) as scope:
            await client.send("query", ack=1)
        assert scope.cancelled_caught
        assert client.take() == []


@pytest.mark.parametrize("error", [RecursionError, MemoryError, StopIteration, TimeoutError])
async def test_any_exception_of_a_handler_is_an_incident(error: type[Exception]) -> None:
    async with running(answering(error)) as server:
        client = await connected(server)
        (event,) = await client.ask("query")
        assert event.data["code"] == "INTERNAL"
