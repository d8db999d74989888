"""Log lines: whose request they are about, that programs can read them, and what is not in them."""

from __future__ import annotations

import io
import json
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lbproto import Context, Event, Internal, Plugin
from lbproto.logging import (
    JSONFormatter,
    TextFormatter,
    configure,
    in_request,
    log_fields,
    without_secrets,
)
from lbproto.operations.pseudonyms import pseudonym, use_key
from lbproto.testing import connect, serve

logger = logging.getLogger("tests.shop")


class Buy(Event):
    item: str = ""


class Bought(Event):
    pass


def shop(sell: Callable[[Context], None]) -> Plugin:
    plugin = Plugin("shop")

    @plugin.on(Buy)
    async def buy(ctx: Context, request: Buy) -> Bought:
        sell(ctx)
        return Bought()

    return plugin


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What is logged; the loggers are as they were afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def fail(ctx: Context) -> None:
    raise ZeroDivisionError("of 1 by 0")


def fail_in_words(ctx: Context) -> None:
    raise Internal("The till is stuck", retry_after=2.5)


@pytest.mark.anyio
@pytest.mark.parametrize("sell", [fail, fail_in_words])
async def test_an_incident_has_one_id_in_the_log_and_in_the_envelope(
    stream: io.StringIO, sell: Callable[[Context], None]
) -> None:
    configure("json", stream=stream)
    told: list[tuple[str, str]] = []
    async with serve(shop(sell)) as server:
        server.incidents.append(lambda ctx, id_: told.append((ctx.user_id, id_)))
        async with connect(server, "quinn", wire="plain-json") as client:
            refusal: Any = await client.request(Buy(item="apple"))
            sid = client.sid
    (line,) = lines(stream)
    assert refusal.code == "INTERNAL"
    assert refusal.message.endswith(f"; incident {line['incident']}")
    assert refusal.message.startswith(
        "The till is stuck" if sell is fail_in_words else "Something failed on our side"
    )
    assert refusal.retry_after == (3 if sell is fail_in_words else None)
    assert told == [("quinn", line["incident"])]
    assert line["level"] == "error"
    assert line["logger"] == "lbproto.middleware.errors"
    assert (line["session"], line["user"]) == (sid, pseudonym("quinn"))
    assert (line["event"], line["request"]) == ("buy", 1)
    assert "in buy\n    sell(ctx)" in line["exception"]
    assert "quinn" not in stream.getvalue().replace(sid, "")


@pytest.mark.anyio
async def test_one_that_fails_to_take_the_report_keeps_nobody_from_the_answer(
    stream: io.StringIO,
) -> None:
    configure("json", stream=stream)

    def reported(ctx: Context, incident: str) -> None:
        raise OSError("the disk is full")

    async with serve(shop(fail)) as server:
        server.incidents.append(reported)
        async with connect(server, "quinn") as client:
            refusal: Any = await client.request(Buy())
    assert refusal.code == "INTERNAL"
    assert [line["message"].endswith("could not be reported") for line in lines(stream)] == [
        False,
        True,
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("middleware", [[], [in_request]])
async def test_what_a_handler_logs_has_the_fields_where_asked_for(
    stream: io.StringIO, middleware: list[Any]
) -> None:
    configure("json", "info", stream=stream)

    def sell(ctx: Context) -> None:
        logger.info("sold")
        logger.info("sold", extra={**log_fields(ctx), "event": "other"})

    async with (
        serve(shop(sell), middleware=middleware) as server,
        connect(server, "quinn") as client,
    ):
        await client.request(Buy())
        logger.info("outside")
    first, second, outside = lines(stream)
    assert ("session" in first) is bool(middleware)
    assert second["user"] == pseudonym("quinn")
    assert second["event"] == "other"
    assert "session" not in outside


@pytest.mark.anyio
async def test_what_a_client_sends_makes_no_line_of_its_own(stream: io.StringIO) -> None:
    configure("text", stream=stream)
    forged = "x\n2026-01-01T00:00:00.000Z CRITICAL forged\x1b[31m\u2028\ud800"

    def sell(ctx: Context) -> None:
        logger.warning("sold %s", forged, extra={"item": forged})
        raise ValueError(forged)

    async with serve(shop(sell)) as server, connect(server, "quinn", wire="plain-json") as client:
        await client.request(Buy())
    logged = stream.getvalue()
    assert "\x1b" not in logged
    assert "\u2028" not in logged
    heads = [line for line in logged.splitlines() if not line.startswith("    ")]
    assert [line.split()[1:3] for line in heads] == [
        ["WARNING", "tests.shop:"],
        ["ERROR", "lbproto.middleware.errors:"],
    ]
    assert "  incident=" in heads[1]
    assert "  event=buy" in heads[1]


def formatted(formatter: logging.Formatter, message: str, **fields: Any) -> str:
    record = logging.LogRecord("shop", logging.INFO, __file__, 1, message, (), None)
    record.__dict__.update(fields)
    return formatter.format(record)


class Apples(int):
    pass


class Celsius(float):
    pass


class Unspeakable:
    def __str__(self) -> str:
        raise RuntimeError


def test_a_line_is_json_whatever_the_fields_are() -> None:
    line = json.loads(
        formatted(
            JSONFormatter(),
            "sold",
            price=3,
            rate=float("nan"),
            left=Apples(7),
            outside=Celsius(-3.5),
            long="x" * 5_000,
            odd=Unspeakable(),
            bytes=b"\xff",
            none=None,
            level="forged",
        )
    )
    assert line["message"] == "sold"
    assert line["level"] == "info"
    assert line["price"] == 3
    assert line["rate"] is None
    assert (line["left"], line["outside"]) == (7, -3.5)
    assert line["odd"] == "<Unspeakable>"
    assert len(line["long"]) == 1_025


def test_the_end_of_a_long_traceback_is_kept() -> None:
    try:
        raise ValueError("x" * 100_000 + " the end")
    except ValueError:
        record = logging.LogRecord("shop", 40, __file__, 1, "y" * 100_000, (), sys.exc_info())
    line = json.loads(JSONFormatter().format(record))
    assert line["exception"].endswith(" the end")
    assert len(line["exception"]) < 33_000
    assert len(line["message"]) < 33_000


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("cannot reach redis://lbproto:hunter2@10.0.0.1:6379/0", "hunter2"),
        ("redis://:p@ss:word@10.0.0.1", "ss:word"),
        ("Authorization: Bearer abcd1234", "abcd1234"),
        ("offered bearer.abcd1234", "abcd1234"),
        ("token eyJhbGciOiJ9.eyJzdWIiOiIx.c2ln was refused", "eyJzdWIiOiIx"),
        ('{"token": "hunter2", "room": "a"}', "hunter2"),
        ("Authenticate(token='hunter2')", "hunter2"),
        ("api_key=hunter2&x=1", "hunter2"),
        ("DB_PASSWORD: hunter2", "hunter2"),
        ("my-db_password: hunter2", "hunter2"),
        ("x-eyJhbGciOiJ9.eyJzdWIiOiIx.c2ln", "eyJzdWIiOiIx"),
    ],
)
@pytest.mark.parametrize("formatter", [JSONFormatter(), TextFormatter()])
def test_what_looks_like_a_secret_is_hidden(
    formatter: logging.Formatter, text: str, secret: str
) -> None:
    assert secret not in formatted(formatter, text)
    assert secret not in formatted(formatter, "x", field=text)
    try:
        raise ValueError(text)
    except ValueError:
        error = sys.exc_info()
    assert secret not in formatted(formatter, "x", exc_info=error)


@pytest.mark.parametrize(
    "text",
    [
        "3 tokens left",
        "redis://10.0.0.1:6379/0 is away",
        "the token is another user's",
        "basic fee",
        "a subtoken: one of many",
        "files.eyJ.d are kept",
    ],
)
def test_what_does_not_is_shown(text: str) -> None:
    assert without_secrets(text) == text


def test_hiding_takes_time_in_proportion() -> None:
    for part in ("://", "a:", "token=", 'token="', "eyJ", "_", "a-", "eyJ-", ".eyJ", "bearer "):
        without_secrets(part * 100_000)  # a pattern that backtracks would not come back


def test_warnings_are_lines_too(stream: io.StringIO) -> None:
    configure("json", stream=stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert lines(stream)[0]["logger"] == "py.warnings"


def test_a_pseudonym_is_the_same_by_the_same_key_only() -> None:
    use_key(b"one")
    one = pseudonym("quinn")
    assert len(one) == 16
    assert pseudonym("bob") != one
    assert len(pseudonym("\ud800")) == 16
    use_key(b"two")
    assert pseudonym("quinn") != one
    use_key(b"x" * 64)
    short = pseudonym("quinn")
    use_key(b"x" * 65)
    assert pseudonym("quinn") != short
    use_key(b"one")
    assert pseudonym("quinn") == one
