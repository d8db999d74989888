"""Servers that send rubbish: a clear error, in bounded memory and time."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import pytest
from anyio.abc import SocketStream

from lbproto import Disconnected, ErrorCode, Internal, RequestError, Settings, Unauthorized
from lbproto.client import Bounds, Wire
from lbproto.client.errors import refusal
from lbproto.client.payloads import PlainPayload
from lbproto.messages import Ping, Pong, Recovered
from lbproto.wire import ProtocolError
from tests.client.impostor import CONNECTED, OPEN, Peer, impostor, raw
from tests.client.kit import Dig, Site, connected, served

pytestmark = pytest.mark.anyio

HASTY = Bounds(close_timeout=0.02, max_message=10_000)
IMPATIENT = Bounds(open_timeout=1, close_timeout=0.02)
BOTH: tuple[Wire, Wire] = ("plain-json", "socketio-json")
JUNK = "x" * 1_000


briefly = partial(connected, bounds=HASTY)


async def fails(url: str, wire: Wire = "plain-json", bounds: Bounds = HASTY) -> str:
    """What connecting there ends with."""
    with pytest.raises((ProtocolError, Disconnected)) as error:
        async with connected(url, wire=wire, bounds=bounds):
            raise AssertionError("it was let in")
    return f"{type(error.value).__name__}: {error.value}"


def answer(data: bytes) -> Callable[[SocketStream], Awaitable[None]]:
    """A server that says this to everybody."""

    async def handle(stream: SocketStream) -> None:
        await stream.receive()
        await stream.send(data)

    return handle


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"", "Disconnected: .* closed the connection at once"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "ProtocolError: .* does not speak WebSocket"),
        (b"HTTP/1.1 " + b"1" * 20_000, "ProtocolError: .* does not speak WebSocket"),
        (b"HTTP/1.1 101 X\r\n" + b"A: b\r\n" * 500, "ProtocolError: .* does not speak WebSocket"),
        (b"HTTP/1.1 101 X\r\n\r\n", "ProtocolError: .* does not speak WebSocket"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "Disconnected: .* answers HTTP 404"),
        (b"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n", "Disconnected: .* answers HTTP 502"),
    ],
)
async def test_what_is_no_websocket_server(said: bytes, told: str) -> None:
    async with raw(answer(said)) as url:
        text = await fails(url)
    assert re.match(told, text), text


async def test_how_long_to_wait_is_taken_only_where_it_makes_sense() -> None:
    for after, seconds in ((b"7", 7.0), (b"9" * 30, None), (b"soon", None), (b"-1", None)):
        head = b"HTTP/1.1 503 No\r\nRetry-After: " + after + b"\r\nContent-Length: 0\r\n\r\n"
        async with raw(answer(head)) as url:
            with pytest.raises(Disconnected, match="takes no new connections") as later:
                async with connected(url):
                    raise AssertionError("it was let in")
        assert (later.value.retryable, later.value.retry_after) == (True, seconds)


async def test_one_that_says_nothing() -> None:
    told: dict[str, str] = {}

    async def see(name: str, url: str, wire: Wire) -> None:
        told[name] = await fails(url, wire, IMPATIENT)

    async with (
        raw(lambda stream: anyio.sleep_forever()) as deaf,
        impostor(silent) as mute,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(see, "deaf", deaf, BOTH[0])
        for wire in BOTH:
            tasks.start_soon(see, wire, mute, wire)
    assert "does not answer" in told.pop("deaf")
    assert len(told) == 2
    assert all("does not speak lbproto: it stays silent" in text for text in told.values())


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"Sec-WebSocket-Protocol", b"other")],
        [(b"Sec-WebSocket-Extensions", b"permessage-deflate")],
    ],
)
async def test_one_that_agrees_on_something_else(headers: list[tuple[bytes, bytes]]) -> None:
    async with impostor(silent, headers=headers) as url:
        assert (await fails(url)).startswith("ProtocolError: ")


async def silent(peer: Peer) -> None:
    """Say nothing."""


def saying(*texts: str) -> Callable[[Peer], Awaitable[None]]:
    """Say these things."""

    async def script(peer: Peer) -> None:
        await peer.text(*texts)

    return script


def sending(data: bytes) -> Callable[[Peer], Awaitable[None]]:
    """Send these bytes, whatever they are."""

    async def script(peer: Peer) -> None:
        await peer.raw(data)

    return script


PART = b"\x7e\x17\x70" + b" " * 6_000
FRAMES = {
    "binary": b"\x82\x02{}",
    "not UTF-8": b"\x81\x02\xff\xfe",
    "masked": b"\x81\x82\x00\x00\x00\x00{}",
    "compressed": b"\xc1\x02{}",
    "an opcode that is none": b"\x83\x00",
    "continued from nothing": b"\x80\x02{}",
    "too large": b"\x81\x7f" + (1 << 62).to_bytes(8),
    "too large in parts": b"\x01" + PART + b"\x00" + PART,
    "a large ping": b"\x89\x7e\x10\x00" + b" " * 4_096,
    "a close code that is none": b"\x88\x02\x00\x01",
}


@pytest.mark.parametrize("name", FRAMES)
async def test_what_is_no_frame_of_a_server(name: str) -> None:
    async with impostor(sending(FRAMES[name])) as url:
        assert (await fails(url)).startswith("ProtocolError: ws://127.0.0.1")


@pytest.mark.parametrize(
    ("wire", "texts"),
    [
        ("plain-json", ["hello"]),
        ("plain-json", ['{"event": "connected", "data": {"sid": "s"}}']),
        ("socketio-json", ["hello"]),
        ("socketio-json", ["0[]"]),
        ("socketio-json", ['0{"pingInterval": 86400000, "pingTimeout": 1}']),
        ("socketio-json", ['0{"pingInterval": 0, "pingTimeout": 0}']),
        ("socketio-json", ['0{"pingInterval": "often", "pingTimeout": 1}']),
        ("socketio-json", [json.dumps(OPEN), '40{"sid": 5}']),
        ("socketio-json", ["0" + json.dumps(OPEN), "44[]"]),
        ("socketio-msgpack", ["0" + json.dumps(OPEN), "42[]"]),
    ],
)
async def test_a_server_that_greets_otherwise(wire: Wire, texts: list[str]) -> None:
    async with impostor(saying(*texts)) as url:
        told = await fails(url, wire)
    assert re.match("ProtocolError: ws://127.0.0.1.* does not speak lbproto: ", told), told


async def test_a_refusal_of_another_server_is_one_all_the_same() -> None:
    for body in ('{"message": "no"}', '{"message": "no", "data": 5}'):
        async with impostor(saying("0" + json.dumps(OPEN), f"44{body}")) as url:
            with pytest.raises(Unauthorized, match="no"):
                async with briefly(url, wire="socketio-json"):
                    raise AssertionError("it was let in")


# What comes later


async def test_rubbish_later_ends_the_client_for_good() -> None:
    connections = 0

    async def script(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        await peer.event("connected", CONNECTED)
        await peer.read()
        await peer.read()
        await peer.event("pong", {"timestamp": "now"})
        await peer.text("rubbish")

    async with impostor(script) as url, briefly(url) as client:
        heard = client.listen(Pong)
        await client.emit(Ping())
        assert await anext(heard) == Pong("now")
        with pytest.raises(ProtocolError, match="does not speak lbproto: a message cannot be read"):
            await anext(heard)
        with pytest.raises(ProtocolError):
            await client.request(Ping())
        assert not client.is_connected
    assert connections == 1


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        ({"event": "ack", "data": 5}, ProtocolError),
        ({"event": "ack", "data": {"ok": "maybe"}}, ProtocolError),
        ({"event": "ack", "data": {"ok": False}}, ProtocolError),
        ({"event": "error", "data": {"code": "NOT_FOUND"}}, ProtocolError),
        ({"event": "insufficient_credits", "data": {"required": "much"}}, ProtocolError),
        ({"event": "pong", "data": {"timestamp": 5}}, ProtocolError),
        ({"event": "error", "data": {"code": "NEWER", "message": "no"}}, Internal),
        ({"event": "odd_error", "data": {"code": "NOT_FOUND", "message": "no"}}, RequestError),
    ],
)
async def test_an_answer_that_is_none_is_told_to_who_asked(
    frame: dict[str, object], error: type[Exception]
) -> None:
    async def script(peer: Peer) -> None:
        await peer.event("connected", CONNECTED)
        await peer.read()
        await peer.read()
        await peer.text(json.dumps(frame | {"re": 1}))
        await peer.read()
        await peer.event("pong", {"timestamp": "now"}, re=2)

    async with impostor(script) as url, briefly(url) as client:
        with pytest.raises(error):
            await client.request(Ping(), Pong)
        assert await client.request(Ping(), Pong) == Pong("now")


@pytest.mark.parametrize("code", ErrorCode)
def test_a_refusal_is_the_error_of_its_code(code: ErrorCode) -> None:
    envelope = {"code": code.value, "message": "no", "retryAfter": 7}
    told = refusal(PlainPayload(envelope, str_keys=True))
    assert (told.code, told.message, told.retry_after) == (code, "no", 7)


async def test_answers_that_nobody_asked_for_are_nothing() -> None:
    async def script(peer: Peer) -> None:
        await peer.event("connected", CONNECTED)
        for number in range(-5, 500):
            await peer.event("pong", {"timestamp": "now"}, re=number)
            await peer.event("ack", {"ok": False}, re=number)
            await peer.event(f"unknown_{number}", JUNK, offset=JUNK * 5)
        await peer.event("recovered", {"missed": 3})

    async with impostor(script) as url, briefly(url) as client:
        assert await anext(client.listen(Recovered)) == Recovered(3)


async def test_a_job_whose_first_event_is_none_ends() -> None:
    async def script(peer: Peer) -> None:
        await peer.event("connected", CONNECTED)
        await peer.read()
        for number in (1, 2):
            await peer.read()
            data = {"jobId": 5} if number == 1 else {}
            await peer.event("dig_started" if number == 1 else "pong", data, re=number)

    async with impostor(script) as url, briefly(url) as client:
        for told in ("Expected `str`, got `int`", "`pong` answers `dig` but is not a stage"):
            async with client.job(Dig()) as job:
                with pytest.raises(ProtocolError, match=told):
                    await anext(job)


@pytest.mark.parametrize("wire", BOTH)
async def test_a_server_that_falls_silent_is_left(wire: Wire) -> None:
    beat = {**OPEN, "pingInterval": 50, "pingTimeout": 50}

    async def script(peer: Peer) -> None:
        if wire == "plain-json":
            await peer.event("connected", CONNECTED)
        else:
            greeting = json.dumps(["connected", CONNECTED])
            await peer.text("0" + json.dumps(beat), '40{"sid":"s"}', f"42{greeting}")

    soon = Bounds(ping_interval=0.05, ping_timeout=0.05, close_timeout=0.02)
    async with impostor(script) as url:
        with pytest.raises(Disconnected, match="was silent for too long"):
            async with connected(url, wire=wire, bounds=soon, reconnect=None) as client:
                await anext(client.listen(Pong))


@pytest.mark.parametrize("wire", BOTH)
async def test_one_that_only_has_nothing_to_say_is_not(wire: Wire) -> None:
    beats = Settings(ping_interval=0.1, ping_timeout=0.9)
    soon = Bounds(ping_interval=0.05, ping_timeout=5)
    async with (
        served(Site().plugin(), settings=beats) as url,
        connected(url, wire=wire, bounds=soon, reconnect=None) as client,
    ):
        await anyio.sleep(1.3)  # longer than either may be silent
        assert isinstance(await client.request(Ping()), Pong)
