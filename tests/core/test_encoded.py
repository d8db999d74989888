"""Values that come encoded: sent as they are, or in the form that a client reads."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lbproto import Context, Encoded, Event, Plugin
from lbproto.backends.memory import MemoryBroker, MemoryPubSub
from lbproto.testing import settle
from tests.core.harness import FORMATS, connected, read, running

pytestmark = pytest.mark.anyio

ROWS = [{"a": 1, "b": "é", "c": None}, {"a": 2**60, "b": "", "c": [1.5, True]}]
AS_JSON = Encoded.of_json(msgspec.json.encode(ROWS))
AS_MSGPACK = Encoded.of_msgpack(msgspec.msgpack.encode(ROWS))


class Page(Event):
    rows: Encoded
    raw: bytes | None = None


class Ask(Event):
    pass


def paging(page: Page) -> Plugin:
    plugin = Plugin("paging")

    @plugin.room("pages:{name}", announce=False)
    async def join(ctx: Context, name: str) -> None: ...

    @plugin.on(Ask)
    async def ask(ctx: Context, request: Ask) -> Page:
        ctx.to("pages:all").emit(page)
        return page

    return plugin


@pytest.mark.parametrize("rows", [AS_JSON, AS_MSGPACK], ids=["json", "msgpack"])
@pytest.mark.parametrize("format_", FORMATS)
async def test_every_client_reads_it_in_its_own_form(rows: Encoded, format_: str) -> None:
    async with running(paging(Page(rows=rows))) as server:
        client = await connected(server, format_=FORMATS[format_])
        sent = await client.ask("ask", {"requestId": "kept"}, ack=1)
        assert sent[0].data == {"rows": ROWS}
        again = await client.ask("ask", {"requestId": "kept"}, ack=2)
        assert again[0].data == {"rows": ROWS}


@pytest.mark.parametrize("format_", FORMATS)
async def test_a_handler_may_ask_which_form_that_is(format_: str) -> None:
    plugin = Plugin("asking")

    @plugin.on(Ask)
    async def ask(ctx: Context, request: Ask) -> Page:
        return Page(rows=Encoded.of_json(msgspec.json.encode(ctx.reads_msgpack)))

    async with running(plugin) as server:
        client = await connected(server, format_=FORMATS[format_])
        assert (await client.ask("ask"))[0].data == {"rows": "msgpack" in format_}


def test_beside_bytes_it_is_a_value_like_any_other() -> None:
    frame = FORMATS["socketio-json"].event("page", (Page(rows=AS_JSON, raw=b"\0"),))
    text, attachment = frame.messages
    assert isinstance(text, str)
    data: Any = read(text[:1] + "2" + text[text.index("-") + 1 :]).data
    assert data == {"rows": ROWS, "raw": {"_placeholder": True, "num": 0}}
    assert attachment == b"\0"


@pytest.mark.parametrize("rows", [AS_JSON, AS_MSGPACK], ids=["json", "msgpack"])
async def test_it_reaches_other_nodes(rows: Encoded) -> None:
    broker = MemoryBroker()
    async with (
        running(paging(Page(rows=rows)), pubsub=MemoryPubSub(broker)) as one,
        running(paging(Page(rows=rows)), pubsub=MemoryPubSub(broker)) as two,
    ):
        far = await connected(two)
        await far.ask("subscribe", {"room": "pages:all"})
        await (await connected(one)).ask("ask")
        await settle()
        assert [sent.data for sent in far.take()] == [{"rows": ROWS}]


def test_what_it_is() -> None:
    assert Encoded.of_json(msgspec.json.encode(ROWS)) == AS_JSON
    assert hash(AS_JSON) == hash(Encoded.of_json(AS_JSON.json))
    assert Encoded.of_json(b"[]") != AS_JSON
    assert AS_JSON != ROWS
    assert AS_MSGPACK.value == AS_JSON.value == ROWS
    assert repr(Encoded.of_json(b"[1]")) == "Encoded(b'[1]')"


def test_nothing_else_can_be_sent() -> None:
    for format_ in FORMATS.values():
        with pytest.raises(TypeError, match="a value of type complex cannot be sent"):
            format_.event("page", ({"a": 1j},))
