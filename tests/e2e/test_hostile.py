"""Input that breaks the protocols, over real sockets; whoever behaves is served as before."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import msgspec
import pytest

from tests.e2e.clients import (
    JSON,
    MSGPACK,
    SECONDS,
    PlainClient,
    RawClient,
    inspect,
    still_serving,
)
from tests.e2e.conftest import APP, Serve
from tests.serving import ServerProcess

pytestmark = pytest.mark.anyio

PROTOCOL_ERROR = 1002
INVALID_DATA = 1007
TOO_BIG = 1009
MAX_PAYLOAD = 1_000_000

POLLING = {"EIO": "4", "transport": "polling"}


@pytest.fixture(params=["uvicorn-uvloop", "uvicorn-direct", "hypercorn-trio", "granian"])
async def server(request: pytest.FixtureRequest, serve: Serve) -> AsyncIterator[ServerProcess]:
    """A server that has to be all the same after each of these tests."""
    attacked = serve(APP, request.param)
    pid = (await inspect(attacked))["pid"]
    yield attacked
    await still_serving(attacked, pid)


# Packets


@pytest.mark.parametrize(
    "packet",
    ["", "0", "2", "2probe", "5", "9", "x", "\0", "4", "47", "4x", "\x1e", "4" * 1000],
    ids=repr,
)
async def test_what_is_no_engine_io_packet(server: ServerProcess, packet: str) -> None:
    async with RawClient.connecting(server) as client:
        await client.send(packet)
        code, _ = await client.closed()
        assert code == PROTOCOL_ERROR


ANNOUNCED = '451-["echo",{"_placeholder":true,"num":0}]'


@pytest.mark.parametrize(
    "packet",
    [
        '42["echo",{"text":"x"}]',  # before CONNECT
        "40[]",
        "40{",
        "40/ws,{",
        '40"token"',
        "44{}",
        "41",
        "43[]",
        b"attachment",
        ANNOUNCED,
    ],
    ids=str,
)
async def test_what_may_not_come_first(server: ServerProcess, packet: str | bytes) -> None:
    async with RawClient.connecting(server) as client:
        await client.send(packet)
        if packet == ANNOUNCED:
            await client.send(b"an attachment")
        assert (await client.closed())[0] == PROTOCOL_ERROR


@pytest.mark.parametrize(
    "packet",
    [
        "42",
        "42[]",
        "42{}",
        "42[1]",
        "42[null]",
        '42["echo"',
        '42["echo",{"text":"x"}',
        '42["echo",{"text":"\\ud83d"}]',  # half a surrogate pair
        "42" + "9" * 400 + '["echo"]',
        '42/nowhere,["echo",{}]',
        "43[]",
        "43-1[]",
        "40",  # connected already
        "41x",
        "44",
        '45["reverse"]',
        '45-["reverse"]',
        '4599999-["reverse"]',
        '4565-["reverse"]',  # more attachments than one event may have
        "451-{}",
        b"an attachment that nobody announced",
    ],
    ids=lambda packet: str(packet)[:30],
)
async def test_what_is_no_socket_io_packet(server: ServerProcess, packet: str | bytes) -> None:
    async with RawClient.connecting(server) as client:
        await client.authenticate()
        await client.send(packet)
        assert (await client.closed())[0] == PROTOCOL_ERROR


async def test_malformed_msgpack_packets(server: ServerProcess) -> None:
    connect = msgspec.msgpack.encode({"type": 0, "nsp": "/", "data": {"token": "token-ada"}})
    for packet in (
        b"",
        b"\xc1",
        connect[:-1],
        connect,  # connected already
        b"\x91" * 50_000,
        "4text",
        msgspec.msgpack.encode({"type": 2, "nsp": "/"}),
        msgspec.msgpack.encode({"type": 2, "nsp": "/", "data": []}),
        msgspec.msgpack.encode({"type": 2, "nsp": "/", "data": [1]}),
        msgspec.msgpack.encode({"type": 9, "nsp": "/", "data": ["a"]}),
        msgspec.msgpack.encode({"type": 2, "nsp": "/", "id": -1, "data": ["echo"]}),
        msgspec.msgpack.encode({"type": "2", "nsp": "/", "data": ["a"]}),
        msgspec.msgpack.encode(["type", 2]),
    ):
        async with RawClient.connecting(server) as client:
            await client.send(connect)
            await client.send(packet)
            assert (await client.closed())[0] == PROTOCOL_ERROR, packet[:50]


HEAD = '452-["reverse",{"data":{"_placeholder":true,"num":0},"parts":[%s]}]'


@pytest.mark.parametrize(
    "packets",
    [
        ["452-[]", b"1", b"2"],  # no name
        [HEAD % '{"_placeholder":true,"num":2}', b"1", b"2"],
        [HEAD % '{"_placeholder":true,"num":-1}', b"1", b"2"],
        [HEAD % '{"_placeholder":true,"num":"0"}', b"1", b"2"],
        [HEAD % '{"_placeholder":true,"num":true}', b"1", b"2"],
        [HEAD % '{"_placeholder":true}', b"1", b"2"],
        [HEAD % '{"_placeholder":true,"num":1}', b"1", '42["echo",{}]'],
        [HEAD % '{"_placeholder":true,"num":1}', b"1", b"2", b"3"],
        [HEAD % '{"_placeholder":true,"num":1}', b"1" * 600_000, b"2" * 600_000],
        [HEAD % ("[" * 900 + "]" * 900), b"1", b"2", b"3"],
    ],
    ids=range(10),
)
async def test_attachments_that_lie(server: ServerProcess, packets: list[str | bytes]) -> None:
    async with RawClient.connecting(server) as client:
        await client.authenticate()
        await client.send(*packets)
        assert (await client.closed())[0] == PROTOCOL_ERROR


async def test_attachments_that_never_come(server: ServerProcess) -> None:
    async with RawClient.connecting(server) as client:
        await client.authenticate()
        await client.send(HEAD % '{"_placeholder":true,"num":1}', b"1")


# Payloads


def _deep(depth: int) -> str:
    return "[" * depth + "]" * depth


async def test_deep_json(server: ServerProcess) -> None:
    for packet in (
        f'42["echo",{_deep(200_000)}]',
        f'42["echo",{{"text":{_deep(100_000)}}}]',
        f'42["echo",{{"unknown":{_deep(100_000)}}}]',
        "42" + "[" * 100_000,
        '42["echo",' + '{"a":' * 50_000,
    ):
        async with RawClient.connecting(server) as client:
            await client.authenticate()
            await client.send(packet)
            assert (await client.closed())[0] == PROTOCOL_ERROR, packet[:50]
    async with RawClient.connecting(server) as client:
        await client.send(f'40{{"token":{_deep(100_000)}}}')
        assert (await client.closed())[0] == PROTOCOL_ERROR


async def test_deep_payloads_on_plain_websocket(server: ServerProcess) -> None:
    async with PlainClient.connecting(server, subprotocols=[JSON]) as client:
        await client.until("connected")
        for body in (_deep(200_000), f'{{"text":{_deep(900)}}}', '{"a":' * 100_000):
            await client.websocket.send(f'{{"event":"echo","data":{body}}}')
            error = await client.until("validation_error")
            assert error["code"] == "INVALID_REQUEST"
        assert (await client.call("echo", {"text": "x"}))["event"] == "echoed"
    async with PlainClient.connecting(server, subprotocols=[MSGPACK]) as client:
        await client.until("connected")
        for data in (b"\x91" * 100_000 + b"\x90", b"\xd4\x00\x00" + b"\x91" * 900, b"\x91" * 900):
            await client.websocket.send(b"\x82\xa5event\xa4echo\xa4data" + data)
            assert (await client.until("validation_error"))["code"] == "INVALID_REQUEST"
        assert (await client.call("echo", {"text": "x"}))["event"] == "echoed"


async def test_malformed_plain_frames(server: ServerProcess) -> None:
    frames: list[str | bytes] = [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"event":1}',
        '{"event":"echo","id":[]}',
    ]
    frames += [b'{"event":"ping"}', '{"event":"ping","id":"' + "x" * 65 + '"}', "\0"]
    for frame in frames:
        async with PlainClient.connecting(server, None) as client:  # before the token: final
            await client.websocket.send(frame)
            assert (await client.next())["data"]["code"] == "UNAUTHORIZED"
            assert (await client.closed())[0] == 4401
    async with PlainClient.connecting(server) as client:
        await client.until("connected")
        for frame in frames:
            await client.websocket.send(frame)
            assert (await client.next())["data"]["code"] == "INVALID_REQUEST"
        assert (await client.call("echo", {"text": "x"}))["event"] == "echoed"


@pytest.mark.parametrize("auth", ["7", "null", '""', "[]", '{"a":1}', '"' + "x" * 9999 + '"'])
async def test_tokens_that_are_none(server: ServerProcess, auth: str) -> None:
    async with RawClient.connecting(server) as client:
        await client.send(f'40{{"token":{auth}}}')
        refusal = json.loads(await client.until("44"))
        assert refusal["data"]["code"] == "UNAUTHORIZED"
        await client.authenticate()  # the deadline has not come: another try is fine


async def test_rooms_that_are_none_of_ones_business(server: ServerProcess) -> None:
    async with PlainClient.connecting(server) as client:
        await client.until("connected")
        before = await inspect(server)
        for number in range(300):
            for room in ("user:bob", f"made:up:{number}", "closed:x"):
                refused = await client.call("subscribe", {"room": room})
                assert refused["event"] == "error"
        # Nothing is kept of them.
        assert (await inspect(server))["rooms"] <= before["rooms"]
        assert (await client.call("subscribe", {"room": "user:ada"}))["event"] == "subscribed"


# Sizes


@pytest.mark.parametrize("message", ["x" * MAX_PAYLOAD, b"x" * (MAX_PAYLOAD + 1), "é" * 600_000])
async def test_an_oversized_message(server: ServerProcess, message: str | bytes) -> None:
    too_big = "4" + message if isinstance(message, str) else message
    async with RawClient.connecting(server) as client:
        await client.authenticate()
        await client.send(too_big)
        assert (await client.closed())[0] == TOO_BIG
    async with PlainClient.connecting(server) as plain:
        await plain.until("connected")
        await plain.websocket.send(too_big)
        assert (await plain.closed())[0] == TOO_BIG


async def test_a_message_of_the_largest_size(server: ServerProcess) -> None:
    async with RawClient.connecting(server) as client:
        await client.authenticate()
        head, tail = '42["echo",{"text":"', '"}]'
        text = "x" * (MAX_PAYLOAD - len(head) - len(tail))
        await client.send(head + text + tail)
        echoed = json.loads(await client.until("42"))
        assert echoed[1]["text"] == text


async def _post(client: httpx.AsyncClient, content: Any, **headers: str) -> httpx.Response:
    opened = await client.get("/socket.io/", params=POLLING)
    params = POLLING | {"sid": json.loads(opened.text[1:])["sid"]}
    answer = await client.post("/socket.io/", params=params, content=content, headers=headers)
    if answer.status_code != 415:
        gone = await client.get("/socket.io/", params=params)
        assert (gone.status_code, gone.json()["code"]) == (400, 1)
    return answer


async def test_an_oversized_post(server: ServerProcess) -> None:
    async def in_pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100_000

    # A server may hang up on whoever goes on sending: both are an end.
    async with httpx.AsyncClient(base_url=server.http, timeout=SECONDS) as client:
        for content in (b"4" * (MAX_PAYLOAD + 1), in_pieces()):
            with suppress(httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
                assert (await _post(client, content)).status_code == 413


async def test_malformed_posts(server: ServerProcess) -> None:
    async with httpx.AsyncClient(base_url=server.http, timeout=SECONDS) as client:
        for content in (b"\xff\xfe", b"", b"b!!!", b"9", b"4\x1e9", b"\x1e\x1e", b"4" * 1000):
            assert (await _post(client, content)).status_code == 400
        compressed = await _post(client, b"40", **{"content-encoding": "gzip"})
        assert compressed.status_code == 415


async def test_invalid_utf_8(server: ServerProcess) -> None:
    for path in ("/ws", "/socket.io/?EIO=4&transport=websocket"):
        async with PlainClient.connecting(server, path=path, subprotocols=[]) as client:
            await client.websocket.send(b'4\xff\xfe{"event"', text=True)
            code, _ = await client.closed()
            # Other servers than uvicorn close in their own ways, and never hand it to us.
            assert code == INVALID_DATA or not server.kind.startswith("uvicorn")


async def test_a_broken_packet_after_a_handler_that_waited(server: ServerProcess) -> None:
    """Another task reads by then; the close has to come through all the same."""
    name = f"broken-{server.kind}"
    async with RawClient.connecting(server) as client:
        await client.authenticate()
        await client.send(f'42["wait",{{"name":"{name}"}}]')
        async with PlainClient.connecting(server, "bob") as other:
            await other.call("release", {"name": name})
        await client.until('42["released"')
        await client.send("9")
        assert (await client.closed())[0] == PROTOCOL_ERROR
    async with PlainClient.connecting(server) as plain:
        await plain.send("wait", {"name": f"{name}-plain"})
        async with PlainClient.connecting(server, "bob") as other:
            await other.call("release", {"name": f"{name}-plain"})
        await plain.until("released")
        await plain.websocket.send("x" * (MAX_PAYLOAD + 1))
        assert (await plain.closed())[0] == TOO_BIG
