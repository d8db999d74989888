"""Websockets as ASGI has them: handshakes, subprotocols, tokens, sending and closing."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import msgspec
import pytest
import trio

from lbproto.asgi.plain import PlainEndpoint
from lbproto.asgi.websocket import WebSocketTransport
from lbproto.frame import frame_of
from lbproto.scheduling.tasks import background_tasks
from lbproto.testing import settle
from lbproto.transport import CloseCode
from lbproto.wire import Arguments, Socket
from lbproto.wire.socketio import json_format
from tests.wire.asgi import sid_of, websocket
from tests.wire.kit import Program, engine_edge, running

pytestmark = pytest.mark.anyio

# Engine.IO

DENIED: dict[str, tuple[str, int, int]] = {
    "no version": ("transport=websocket", 400, 5),
    "another version": ("EIO=abc&transport=websocket", 400, 5),
    "no transport": ("EIO=4", 400, 0),
    "another transport": ("EIO=4&transport=abc", 400, 0),
    "polling's transport": ("EIO=4&transport=polling", 400, 0),
    "an unknown session": ("EIO=4&transport=websocket&sid=nobody", 400, 1),
}


@pytest.mark.parametrize(("query", "status", "code"), DENIED.values(), ids=DENIED)
async def test_what_is_no_handshake_is_denied(query: str, status: int, code: int) -> None:
    async with running() as runtime, background_tasks() as tasks:
        edge = engine_edge(runtime, Program())
        call = await websocket(edge, tasks, query)
        assert call.sent == [{"type": "websocket.close"}]
        assert call.done
        call = await websocket(edge, tasks, query, extensions={"websocket.http.response": {}})
        start, body = call.sent
        assert start["status"] == status
        assert msgspec.json.decode(body["body"])["code"] == code
        assert call.done
        assert not runtime.connections


async def test_a_session_on_a_websocket_is_offered_no_upgrade() -> None:
    async with running() as runtime, background_tasks() as tasks:
        call = await websocket(engine_edge(runtime, Program()), tasks)
        (handshake,) = call.messages
        assert isinstance(handshake, str)
        assert msgspec.json.decode(handshake[1:])["upgrades"] == []
        assert sid_of(handshake) in runtime.engines


async def test_text_and_binary_of_either_shape_are_read() -> None:
    # Servers differ in whether they leave the other key out or set it to None.
    async with running() as runtime, background_tasks() as tasks:
        call = await websocket(engine_edge(runtime, Program()), tasks)
        await call.feed(
            {"type": "websocket.receive", "text": "40"},
            {"type": "websocket.receive", "text": '451-["echo",{"_placeholder":true,"num":0}]'},
            {"type": "websocket.receive", "bytes": b"\x01"},
        )
        assert call.messages[-1] == b"\x01"
        await call.say('451-["echo",{"_placeholder":true,"num":0}]', b"\x02")
        assert call.messages[-1] == b"\x02"


async def test_a_protocol_error_is_told_in_the_close_frame() -> None:
    async with running() as runtime, background_tasks() as tasks:
        call = await websocket(engine_edge(runtime, Program()), tasks)
        await call.say("4abc")
        assert call.sent[-1] == {
            "type": "websocket.close",
            "code": CloseCode.PROTOCOL_ERROR,
            "reason": "unknown packet type",
        }
        await call.hang_up()
        assert call.done
        assert call.error is None


# Plain WebSocket

OFFERS: dict[str, tuple[list[str], str | None, str | None]] = {
    "nothing": ([], None, None),
    "json": (["lbproto.v1.json"], "lbproto.v1.json", None),
    "msgpack": (["lbproto.v1.msgpack"], "lbproto.v1.msgpack", None),
    "the client's order": (
        ["lbproto.v1.msgpack", "lbproto.v1.json"],
        "lbproto.v1.msgpack",
        None,
    ),
    "an unknown one first": (["graphql-ws", "lbproto.v1.json"], "lbproto.v1.json", None),
    "only unknown ones": (["graphql-ws"], None, None),
    "a token": (["lbproto.v1.json", "bearer.the-token"], "lbproto.v1.json", "the-token"),
    "a token first": (
        ["bearer.the-token", "lbproto.v1.msgpack"],
        "lbproto.v1.msgpack",
        "the-token",
    ),
    "a token alone": (["bearer.the-token"], None, "the-token"),
    "an empty token": (["lbproto.v1.json", "bearer."], "lbproto.v1.json", ""),
    "two tokens": (["lbproto.v1.json", "bearer.a", "bearer.b"], "lbproto.v1.json", "a"),
}


class Listener(Program):
    """Keeps the tokens that it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: list[str] = []

    async def authenticate(self, socket: Socket, auth: Arguments) -> None:
        self.tokens.append(auth.first(dict)["token"])


@pytest.mark.parametrize(("offered", "agreed", "token"), OFFERS.values(), ids=OFFERS)
async def test_a_subprotocol_is_agreed_on_and_never_a_token(
    offered: list[str], agreed: str | None, token: str | None
) -> None:
    async with running() as runtime, background_tasks() as tasks:
        program = Listener()
        edge = PlainEndpoint(runtime, program, ("*",))
        call = await websocket(edge, tasks, "", subprotocols=offered)
        assert call.sent[0] == {"type": "websocket.accept", "subprotocol": agreed}
        assert program.tokens == ([] if token is None else [token])
        if token is not None:
            text = isinstance(call.messages[0], str)
            assert text == (agreed != "lbproto.v1.msgpack")


async def test_a_header_with_the_token_comes_before_the_subprotocol() -> None:
    async with running() as runtime, background_tasks() as tasks:
        program = Listener()
        edge = PlainEndpoint(runtime, program, ("*",))
        headers = {"authorization": "Bearer header"}
        await websocket(edge, tasks, "", headers=headers, subprotocols=["bearer.other"])
        assert program.tokens == ["Bearer header"]  # as it is: the prefix is authentication's


async def test_a_plain_client_that_leaves_is_gone() -> None:
    async with running() as runtime, background_tasks() as tasks:
        program = Program()
        edge = PlainEndpoint(runtime, program, ("*",))
        call = await websocket(edge, tasks, "", headers={"authorization": "t"})
        await call.hang_up()
        assert call.done
        assert program.log == [("opened", ""), ("closed", "", "transport close")]


# The transport


class Wire:
    """The two calls of ASGI: what is sent is kept, what `coming` holds is received."""

    def __init__(self) -> None:
        self.sent: list[MutableMapping[str, Any]] = []
        self.failure: Exception | None = None
        self.coming: list[MutableMapping[str, Any]] = []
        self.transport = WebSocketTransport(self.receive, self.send)

    async def send(self, event: MutableMapping[str, Any]) -> None:
        if self.failure is not None:
            raise self.failure
        self.sent.append(event)

    async def receive(self) -> MutableMapping[str, Any]:
        return self.coming.pop(0)


async def test_a_frame_is_rendered_once_for_all() -> None:
    first, second = Wire(), Wire()
    frame = json_format("/").event("a", (b"x",))
    await first.transport.send([frame, frame_of(b"2")])
    await second.transport.send([frame])
    assert [list(event) for event in first.sent] == [
        ["type", "text"],
        ["type", "bytes"],
        ["type", "text"],
    ]
    assert all(a is b for a, b in zip(first.sent, second.sent, strict=False))


async def test_what_asgi_says_is_received_as_messages_and_the_code_of_the_end() -> None:
    wire = Wire()
    wire.coming = [
        {"type": "websocket.receive", "text": "a"},
        {"type": "websocket.receive", "bytes": b"b", "text": None},
        {"type": "websocket.receive", "text": ""},
        {"type": "websocket.disconnect", "code": 4000},
        {"type": "websocket.disconnect", "code": None},
        {"type": "websocket.disconnect"},
    ]
    received = [await wire.transport.receive() for _ in range(6)]
    assert received == ["a", b"b", "", 4000, 1006, 1006]


async def test_nothing_is_sent_behind_a_close() -> None:
    # What it would raise is the server's own word; the log is not the place for it.
    wire = Wire()
    transport = wire.transport
    await transport.close(CloseCode.SLOW_CONSUMER, "too slow")
    await transport.close(CloseCode.NORMAL, "twice")
    assert wire.sent == [{"type": "websocket.close", "code": 4408, "reason": "too slow"}]
    with pytest.raises(OSError, match="closed"):
        await transport.send([frame_of(b"late")])
    assert len(wire.sent) == 1


async def test_a_close_in_the_middle_of_frames_stops_them() -> None:
    wire = Wire()
    transport = wire.transport

    class Closing(Wire):
        async def send(self, event: MutableMapping[str, Any]) -> None:
            await wire.send(event)
            if len(wire.sent) == 2:
                await transport.close(CloseCode.SLOW_CONSUMER, "too slow")

    transport._send = Closing().send
    with pytest.raises(OSError, match="closed"):
        await transport.send([frame_of(b"%d" % number) for number in range(5)])
    assert [event["type"] for event in wire.sent] == ["websocket.send"] * 2 + ["websocket.close"]


async def test_nobody_is_left_to_close_towards() -> None:
    wire = Wire()
    transport = wire.transport
    transport.lost()
    await transport.close(CloseCode.NORMAL, "")
    assert wire.sent == []


@pytest.mark.parametrize(
    "error", [OSError("gone"), RuntimeError("closed already"), trio.BusyResourceError("sending")]
)
async def test_a_close_towards_a_peer_that_is_gone_is_no_error(error: Exception) -> None:
    wire = Wire()
    wire.failure = error
    await wire.transport.close(CloseCode.NORMAL, "")


@pytest.mark.parametrize("error", [OSError("gone"), RuntimeError("closed already")])
async def test_a_peer_that_is_gone_is_no_fault(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    wire = Wire()
    wire.failure = error
    with pytest.raises(OSError, match=str(error)):
        await wire.transport.send([frame_of(b"x")])
    assert not caplog.records


async def test_a_websocket_that_fails_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    # To go on would be a gap in what the client gets that nobody is told of.
    async with running() as runtime, background_tasks() as tasks:
        program = Program()
        call = await websocket(engine_edge(runtime, program), tasks)
        await call.say("40")
        call.failure = trio.BusyResourceError("closing")
        program.sockets["/"].emit("lost")
        await settle()
        assert call.done
        assert call.error is None
        assert program.log[-1] == ("closed", "/", "transport close")
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "BusyResourceError('closing')" in caplog.text


@pytest.mark.parametrize("reason", ["x" * 200, "é" * 100, "x" + "😀" * 50])
async def test_a_reason_fits_its_frame(reason: str) -> None:
    wire = Wire()
    await wire.transport.close(CloseCode.NORMAL, reason)
    told = wire.sent[0]["reason"]
    assert reason.startswith(told)
    assert 120 <= len(told.encode()) <= 123


async def test_the_app_stays_until_the_close_is_sent() -> None:
    # A server takes an app that returns for one that is done, and closes in its own words.
    async with running() as runtime, background_tasks() as tasks:
        program = Program()
        call = await websocket(engine_edge(runtime, program), tasks)
        await call.say("40")
        program.sockets["/"].emit("last words")
        program.sockets["/"].close(CloseCode.SERVICE_RESTART, "moving house")
        await settle()
        assert call.done
        assert [event["type"] for event in call.sent[-2:]] == ["websocket.send", "websocket.close"]
