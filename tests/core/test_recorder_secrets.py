"""What a recording hides, and how it takes what hostile clients send."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest

from lbproto import Context, Event, Model, Plugin, Secret
from lbproto.messages import Authenticate
from lbproto.recorder import Recorder, Recording, decode, encode
from lbproto.recorder.secrets import without_secrets
from lbproto.testing import connect, serve, settle
from tests.core.test_recorder import Card, only, recording

pytestmark = pytest.mark.anyio


async def test_what_lets_a_client_in_is_never_shown() -> None:
    async with recording() as (server, recorder):
        recorder.start()
        async with connect(server, "ada-secret", check=False) as client:
            client.emit(Authenticate(token="ada-secret"))
            client.emit({"event": "authenticate", "data": "ada-secret"})
            client.emit({"event": "authenticate", "data": ["ada-secret"]})
            client.emit({"event": "authenticat", "data": {"token": "ada-secret"}})
            found = await only(recorder)
            pid = client.connected.pid
    rows = [row for row in found.rows if row.way == ">"]
    assert [row.data for row in rows] == [{"token": "[hidden]"}, "[hidden]", "[hidden]", None]
    assert [row.hidden for row in rows] == [False, False, False, True]
    header = msgspec.structs.replace(found.header, user="")
    content = encode(Recording(header, found.rows)).decode()
    assert "ada-secret" not in content.replace('"userId":"ada-secret"', "").replace(
        "user:ada-secret", ""
    )
    assert pid is not None
    assert pid not in content


class Node(Model):
    """One that may be in itself."""

    secret: Annotated[str | None, Secret] = None
    children: list[Node] | None = None
    named: dict[str, Card] | None = None
    either: Card | list[Card] | str | None = None
    pair: tuple[Card, ...] = ()
    flag: Annotated[bool, Secret] = False
    plain: str = ""


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        ({"plain": "x", "other": 1}, {"plain": "x", "other": 1}),
        ({"secret": "s"}, {"secret": "[hidden]"}),
        ({"secret": {"s": 1}, "flag": True}, {"secret": "[hidden]", "flag": False}),
        ({"children": [{"secret": "s"}]}, {"children": [{"secret": "[hidden]"}]}),
        ({"children": {"secret": "s"}}, {"children": "[hidden]"}),
        ({"named": {"a": {"number": "s"}}}, {"named": {"a": {"number": "[hidden]"}}}),
        ({"either": {"number": "s"}}, {"either": {"number": "[hidden]"}}),
        ({"either": [{"number": "s"}]}, {"either": [{"number": "[hidden]"}]}),
        ({"either": "text"}, {"either": "text"}),
        ({"either": None}, {"either": None}),
        ({"pair": [{"number": "s"}]}, {"pair": [{"number": "[hidden]"}]}),
        ("s", "[hidden]"),
        ([{"secret": "s"}], "[hidden]"),
        (None, None),
    ],
)
def test_secrets_are_hidden_wherever_they_are(payload: Any, shown: Any) -> None:
    assert without_secrets(payload, Node) == shown


class Anything(Event):
    value: Any = None
    under: Annotated[Node | None, msgspec.Meta()] = None


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"children": [value]}
    return value


async def test_what_is_hostile_is_bounded_and_can_be_read() -> None:
    plugin = Plugin("hostile")

    @plugin.on(Anything)
    async def take(ctx: Context, request: Anything) -> None: ...

    async with serve(plugin) as server, connect(server, "ada", check=False) as client:
        recorder = Recorder(server, max_bytes=1_000_000)
        recorder.start()
        numbers = [1] * 20_000
        for _ in range(20):  # with a binary attachment, a packet is decoded as a whole
            client.emit({"event": "anything", "data": {"value": [b"x", numbers]}})
        await settle()
        (found,) = recorder.recordings()
        assert found.header.left_out > 0
        assert len(found.rows) == 0  # each takes more than all may
        for depth in (20, 60, 120):
            for field in ("value", "under"):
                client.emit({"event": "anything", "data": {field: nested(depth)}})
        await settle()
        (found,) = recorder.recordings()
    kept = decode(encode(found)).rows
    assert [row.hidden for row in kept if row.event == "anything"] == [False] * 2 + [True] * 4
